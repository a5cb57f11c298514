"""The layers of nn/, faster: what a network runs. The plain layers in nn/ are the reference; tests/test_fast.py and
tests/test_kernels.py compare.

A fast form is made from a plain layer. It is a subclass, so it has the same contract, and it shares the plain layer's
attributes, so it has the same parameters, also after they are replaced.

    forms = choose(devices, workers)        # the one place that knows which device has which forms
    conv = forms.form(Conv2d(3, 96, 11, 4))
    forms.update(updates)                   # the update of § 5, see nn/optim.py
"""

from nn.fast.cpu import CpuForms
from nn.fast.cuda import CudaForms
from nn.fast.forms import PlainForms


def choose(devices, workers, plain=False, convolution="winograd"):
    """The forms for a network on `devices`. plain: the layers as nn/ has them, in the calling thread. convolution:
    "winograd" or "direct", on the CPU."""
    if plain:
        return PlainForms()
    if all(device.number is None for device in devices):
        return CpuForms(workers, convolution == "winograd")
    return CudaForms()
