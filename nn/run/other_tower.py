"""The other tower of § 3.2 in a process of its own, perhaps on another machine (nn/run/ranks.py)."""

import numpy as np

from nn.arrays import array_module
from nn.loss import SoftmaxCrossEntropy


class OtherTower:
    """Stands in for Exchange where the other tower is on the neighbouring rank. Bytes are counted as in send()."""

    def __init__(self, ranks, network, mine):
        self.ranks, self.mine, self.partner = ranks, mine, ranks.rank + 1 - 2 * mine
        self.comm, self.network, self.last = ranks.comm.Dup(), network, None
        network.mine = (mine,)
        if mine == 1:
            network.loss = LossElsewhere()
        for layer in network.towers[1 - mine].values():
            for key, array in layer.params.items():             # its shape without its memory
                layer.params[key] = np.broadcast_to(np.zeros((), array.dtype), array.shape)

    def swap(self, send, shape, dtype, counted=True):
        """Send an array to the other tower, and receive one of a shape. Either may be None."""
        device, other = self.network.devices[self.mine], self.network.devices[1 - self.mine]
        requests, received = [], None
        if shape is not None:
            received = np.empty(shape, dtype)
            requests.append(self.comm.Irecv(received, self.partner))
        if send is not None:
            host = np.ascontiguousarray(device.get(send))
            if counted:
                device.sent[other] = device.sent.get(other, 0) + host.nbytes
            requests.append(self.comm.Isend(host, self.partner))
        for request in requests:
            self.ranks.until(request, self.partner)
        return None if received is None else device.put(received)

    def forward(self, xs, devices, receivers):
        x = xs[self.mine]
        self.last = x.shape, x.dtype
        theirs = self.swap(x if 1 - self.mine in receivers else None,
                           x.shape if self.mine in receivers else None, x.dtype)
        if theirs is None:
            return {}
        with devices[self.mine]:
            return {self.mine: array_module(x).concatenate([x, theirs][::1 - 2 * self.mine], axis=-1)}

    def backward(self, dys, devices, receivers):
        """Send the other tower the gradient of its half of the channels; add what it sends to that of our own half."""
        both = len(receivers) == 2
        if self.mine not in receivers:                          # tower 1, whose features tower 0 has gathered
            return {self.mine: self.swap(None, *self.last)}
        dy = dys[self.mine]
        width = dy.shape[-1] // 2
        halves = [dy[..., :width], dy[..., width:]]
        own = halves[self.mine]
        theirs = self.swap(halves[1 - self.mine], own.shape if both else None, own.dtype)
        with devices[self.mine]:
            return {self.mine: own + theirs if both else own}

    def complete(self, arrays):
        """One dict per tower, of which this rank has one → all."""
        own, absent = arrays[self.mine], self.network.every[1 - self.mine]
        theirs = {name: self.swap(own.get(name), absent[name].shape if name in absent else None, absent[name].dtype
                                  if name in absent else None, counted=False) for name in self.network.every[0]}
        every = [own, {name: theirs[name] for name in absent}]
        return every[::1 - 2 * self.mine]


class LossElsewhere(SoftmaxCrossEntropy):
    """Of the second tower: the first has the last layer and the loss."""

    def forward(self, logits, labels):
        return None, None

    def backward(self, cache):
        return None
