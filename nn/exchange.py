"""The exchange of maps between the two towers (paper § 3.2)."""

from nn.arrays import array_module
from nn.layer import Layer
from nn.run.device import send


class Exchange(Layer):
    """Where the lines of Figure 2 cross: each receiving tower gets all towers' maps, joined in tower order.

    A tower whose list ends before the exchange sends and does not receive. Nothing else passes between towers.
    """

    def __init__(self, towers):
        super().__init__()
        self.towers = towers

    def __repr__(self):
        return "Exchange()"

    def output_shape(self, shape):
        return (*shape[:-1], shape[-1] * self.towers)

    def forward(self, xs, devices, receivers):
        """xs: one array per tower → a dict {receiving tower: (…, all towers' channels)}."""
        if len(xs) == 1:
            return {0: xs[0]}
        joined = {}
        for t in receivers:
            received = [send(x, devices[s], devices[t]) for s, x in xs.items()]
            with devices[t]:
                joined[t] = array_module(xs[t]).concatenate(received, axis=-1)
        return joined

    def backward(self, dys, devices, widths):
        """dys: {receiving tower: (…, all channels)} → {tower: the gradient of its own channels, summed
        over the receiving towers}; widths: {tower: channels}."""
        dxs, start = {}, 0
        for s, width in widths.items():
            own = [send(dy[..., start:start + width], devices[t], devices[s]) for t, dy in dys.items()]
            with devices[s]:
                dxs[s] = own[0] if len(own) == 1 else sum(own[1:], start=own[0])
            start += width
        return dxs
