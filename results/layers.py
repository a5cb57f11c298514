"""The first layer's kernels (Figure 3), and every layer's output for a photograph."""

from nn import Conv2d, Exchange, LocalResponseNorm, MaxPool2d, ReLU, SpatialResponseNorm, Tanh
from results import figures
from results.classify import likeliest
from results.photos import photographs


def filters(net, options, out):
    """evaluate.py filters: draw filters.png in `out`."""
    kernels, towers = net.network.weights()["conv1.W"], len(net.network.towers)
    convs = [layer for layer in net.network.towers[0].values() if isinstance(layer, Conv2d)]
    if towers == 1 and len(convs) > 1:
        towers = convs[1].groups                            # of a one-tower net: its groups
    out.mkdir(parents=True, exist_ok=True)
    figures.draw_filters(kernels, towers, out / "filters.png")
    print(f"{kernels.shape[3]} kernels of {'×'.join(map(str, kernels.shape[:3]))} of {net.name}: {out}/filters.png")


def activations(net, options, out):
    """evaluate.py activations: draw activations.png in `out`."""
    (name, image, _), = photographs(options.photos, net)[0]
    layers = [(layer, x) for layer, x in outputs(net, image).items()
              if isinstance(net.network.towers[0][layer], (ReLU, Tanh, LocalResponseNorm, SpatialResponseNorm,
                                                              MaxPool2d))]
    answer = likeliest(net, image, 5)
    start = (net.size - net.side) // 2
    out.mkdir(parents=True, exist_ok=True)
    figures.draw_activations(image[start:start + net.side, start:start + net.side], layers, answer,
                             out / "activations.png")
    print(f"{name}: {answer['names'][0]} ({answer['probabilities'][0]:.1%}); drawn: {out}/activations.png")


def outputs(net, image):
    """{layer: its output for the central view of an image (size, size, C)}, (P, Q, K) or (F,), of all towers together."""
    net, found = net.grouped(), {}
    x, = net.views(image[None])
    with net.network.devices[0] as device:
        x = device.put(x)
        for name, layer in net.network.towers[0].items():
            if not isinstance(layer, Exchange):
                x, _ = layer.forward(x, train=False)
                found[name] = device.get(x)[0]
    return found
