"""AlexNet's building blocks in plain array operations: every forward pass with its backward pass under it.

Letters used at the ends of lines, everywhere in this project:

    N       images                      R×S     height × width of a kernel
    H×W     height × width of a map     P×Q     height × width of the map that a layer puts out
    C       channels (maps) coming in   G       groups
    K       kernels (maps) going out    F       features of a fully connected layer

Images have the layout of files, (N, H, W, C), and weights (R, S, C, K), so that a convolution is a matrix
product whose result needs no rearranging. A layer is used as

    y, cache  = layer.forward(x, train=True)
    dx, grads = layer.backward(dy, cache)           # grads: {"W": …, "b": …}, {} where nothing is learned

where dx means ∂loss/∂x and so on. The cache holds what backward needs: a layer keeps nothing but its parameters
(`layer.params`), so one layer can work on many pieces of a batch at once. No call changes its inputs; the type that
goes in (float32 to train, float64 to check gradients) comes out.
"""

from nn.activation import ReLU, Tanh
from nn.check import check_layer
from nn.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from nn.conv import Conv2d
from nn.dropout import Dropout
from nn.exchange import Exchange
from nn.init import initialise
from nn.linear import Flatten, Linear
from nn.loss import SoftmaxCrossEntropy, softmax, top_errors
from nn.lrn import LocalResponseNorm
from nn.network import Network
from nn.optim import SGD, plateau, steps, warm_up
from nn.pool import MaxPool2d
from nn.run.device import Device, DeviceError, devices
from nn.run.feed import feed
from nn.run.profile import Profile
from nn.spatial_norm import SpatialResponseNorm
