"""What the layers hold: the first one's kernels (Figure 3), and every layer's output for a photograph."""

from nn import Conv2d, Exchange, LocalResponseNorm, MaxPool2d, ReLU, Tanh
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
    net = net.grouped()
    (name, image, _), = photographs(options.photos, net)[0]
    x, = net.views(image[None])
    layers = []
    with net.network.devices[0] as device:
        x = device.put(x)
        for layer, made in net.network.towers[0].items():
            if not isinstance(made, Exchange):
                x, _ = made.forward(x, train=False)
            if isinstance(made, (ReLU, Tanh, LocalResponseNorm, MaxPool2d)):
                layers.append((layer, device.get(x)[0]))
    answer = likeliest(net, image, 5)
    start = (net.size - net.side) // 2
    out.mkdir(parents=True, exist_ok=True)
    figures.draw_activations(image[start:start + net.side, start:start + net.side], layers, answer,
                             out / "activations.png")
    print(f"{name}: {answer['names'][0]} ({answer['probabilities'][0]:.1%}); drawn: {out}/activations.png")
