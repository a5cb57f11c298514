"""Other programs' files: published nets give what the programs give that they are from; what does not fit is named; and
no code from a file is ever run."""

import importlib
import io
import json
import os
import pickle
import re
import subprocess
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

import data
from alexnet import MODELS
from interop.caffe import expect_settings
from interop.caffe import read as read_caffe
from interop.layout import channels_first, channels_last
from interop.npy import read as read_npy
from interop.protobuf import integers, message
from interop.pth import Tensor, resolve
from interop.pth import read as read_pth
from interop.published import BVLC, TORCHVISION
from interop.statedict import LAYERS
from nn import CheckpointError, save_checkpoint
from results import load
from results.trained import read, rebuild, title
from training.errors import UserError

FILES = Path(__file__).parent / "files"


def random_weights(network, seed=0):
    """For every parameter numbers of a size that keeps the signal alive, and biases that are not zero."""
    rng = np.random.default_rng(seed)
    return {name: (rng.standard_normal(array.shape) * (0.1 if name.endswith("b") else np.sqrt(2 / np.prod(array.shape[:-1])))
                   ).astype(np.float32) for name, array in network.weights().items()}


def small(model="small", classes=5, size=32, side=28, channels=1, scale=0.02, **options):
    """A Trained with random weights, as a run would leave it."""
    rng = np.random.default_rng(1)
    network = MODELS[model](classes, (side, side, channels), **options)
    facts = dict(model=model, options=options, classes=[f"class {i}" for i in range(classes)], side=side, scale=scale,
                 source=None, seed=0)
    mean = rng.uniform(80, 120, (size, size, channels)).astype(np.float32)
    return rebuild("small", facts, random_weights(network), mean)


def images(net, count=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, net.size, net.size, net.channels), np.uint8)


def in_float64(net):
    """The same net, computing in float64."""
    for tower in net.network.towers:
        for layer in tower.values():
            layer.params = {name: array.astype(np.float64) for name, array in layer.params.items()}
    return net.network


def difference(found, wanted):
    """The largest, as a share of the largest output."""
    assert found.shape == wanted.shape
    return np.abs(found - wanted).max() / np.abs(wanted).max()


# The ONNX Model Zoo's and Caffe's bvlc_alexnet -----------------------------------------------------------------------

@pytest.fixture(scope="module")
def light():
    """The graph of bvlc_alexnet that the onnx package brings, with constants as weights."""
    onnx = pytest.importorskip("onnx")
    path = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / "light_bvlc_alexnet.onnx"
    if not path.exists():
        pytest.skip("this version of onnx does not bring light_bvlc_alexnet.onnx")
    return path


def with_weights(light, weights, side=224, dtype=np.float32):
    """The same graph with `weights` ({"conv1_w_0": array, …}) in it; side=227: with Caffe's geometry."""
    import onnx
    from onnx import helper, numpy_helper
    model = onnx.load(light)
    graph = model.graph
    kept = [node for node in graph.node if node.op_type != "ConstantOfShape"]
    shapes = {item.name: item for item in graph.initializer}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend([numpy_helper.from_array(array.astype(dtype), name) for name, array in weights.items()])
    graph.initializer.append(shapes["OC2_DUMMY_1"])
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    for item in (*graph.input, *graph.output):
        if item.name in ("data_0", "prob_1"):
            item.type.tensor_type.elem_type = kind
    kept = [item for item in graph.input if not item.name.endswith("__SHAPE")]
    del graph.input[:]
    graph.input.extend(kept)
    if side == 227:
        for length in graph.input[0].type.tensor_type.shape.dim[2:]:
            length.dim_value = 227
        for node in graph.node:
            for attribute in node.attribute:
                if node.op_type == "MaxPool" and attribute.name == "pads":
                    attribute.ints[:] = [0, 0, 0, 0]
    return model


@pytest.fixture(scope="module")
def bvlc_weights():
    """As the graph names them, laid as ONNX and Caffe lay them; of a size that makes norms and groups matter."""
    rng = np.random.default_rng(5)
    shapes = dict(conv1=(96, 3, 11, 11), conv2=(256, 48, 5, 5), conv3=(384, 256, 3, 3), conv4=(384, 192, 3, 3),
                  conv5=(256, 192, 3, 3), fc6=(4096, 9216), fc7=(4096, 4096), fc8=(1000, 4096))
    weights = {}
    for name, shape in shapes.items():
        weights[f"{name}_w_0"] = rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[1:])))
        weights[f"{name}_b_0"] = rng.standard_normal(shape[0], np.float32) * np.float32(0.1)
    weights["fc8_w_0"] *= np.float32(0.1)               # so that the softmax is not one class alone
    return weights


def as_caffe_takes_it(picture, side):
    """(1, 3, side, side) float32 of an image (256, 256, 3) uint8: blue, green, red, minus their means."""
    start = (256 - side) // 2
    crop = picture[start:start + side, start:start + side, ::-1].astype(np.float32) - np.float32([104.007, 116.669, 122.679])
    return np.ascontiguousarray(crop.transpose(2, 0, 1)[None])


PHOTO = "datasets/photos/coffee.jpg"


def photo(size=256):
    from PIL import Image
    with Image.open(Path(__file__).resolve().parents[1] / PHOTO) as image:
        return data.prepare(image, size, 3)


def test_the_zoos_graph_with_constant_weights_gives_the_expected_output(light):
    from onnx import load_tensor, numpy_helper
    wanted = numpy_helper.to_array(load_tensor(str(light).replace(".onnx", "_output_0.pb")))
    net = load(light)
    assert (net.size, net.side, len(net.classes)) == (256, 224, 1000)
    assert difference(net.network.predict(np.ones((1, 224, 224, 3), np.float32)), wanted) < 1e-6


def test_the_zoos_graph_with_random_weights_agrees_with_onnxruntime(light, bvlc_weights, tmp_path):
    """A photograph, from its pixels on: crop, mean, blue before red, groups, norms, the pooling beyond the edge."""
    runtime = pytest.importorskip("onnxruntime")
    path = tmp_path / "bvlc.onnx"
    path.write_bytes(with_weights(light, bvlc_weights).SerializeToString())
    net, picture = load(path), photo()
    wanted, = runtime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(
        None, {"data_0": as_caffe_takes_it(picture, 224)})
    assert wanted.max() > 2 * wanted.min()
    assert difference(net.predict(picture[None]), wanted) < 1e-4


def test_the_zoos_graph_agrees_with_onnxs_reference_in_float64(light, bvlc_weights, tmp_path):
    """(The package's own LRN, as of onnx 1.23, goes through as many maps as there are images: here is one that does not.)"""
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.op_run import OpRun

    class LRN(OpRun):
        def _run(self, x, alpha, beta, bias, size):
            sums = [np.square(x[:, max(0, i - (size - 1) // 2):i + size // 2 + 1]).sum(1) for i in range(x.shape[1])]
            return (x / (bias + alpha / size * np.stack(sums, 1)) ** beta,)

    path = tmp_path / "bvlc.onnx"
    model = with_weights(light, bvlc_weights, dtype=np.float64)
    path.write_bytes(model.SerializeToString())
    x = as_caffe_takes_it(photo(), 224).astype(np.float64)
    wanted, = ReferenceEvaluator(model, new_ops=[LRN]).run(None, {"data_0": x})
    found = in_float64(load(path)).predict(np.ascontiguousarray(x[:, ::-1].transpose(0, 2, 3, 1)))
    assert found.dtype == np.float64 and difference(found, wanted) < 1e-5


def caffemodel(weights, old=False, swapped=False, last="fc8", settings=None):
    """The bytes of a .caffemodel, made with Google's library from the field numbers of caffe.proto. last: what the last layer is
    called, as fine-tuning renames it. settings: {layer: (its type, its settings' field, their bytes)}."""
    pytest.importorskip("google.protobuf")
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    kinds = dict(int64=3, int32=5, string=9, float=2, message=11)
    file = descriptor_pb2.FileDescriptorProto(name=f"caffe{old}.proto", package=f"caffe{old}", syntax="proto2")

    def declare(name, *fields):
        made = file.message_type.add(name=name)
        for number, field, kind, repeated in fields:
            own = made.field.add(number=number, name=field, label=3 if repeated else 1, type=kinds.get(kind, 11))
            if kind not in kinds:
                own.type_name = f".caffe{old}.{kind}"
            elif kind == "float" or kind == "int64" and repeated:
                own.options.packed = True

    declare("BlobShape", (1, "dim", "int64", True))
    declare("BlobProto", (7, "shape", "BlobShape", False), (5, "data", "float", True), (6, "diff", "float", True),
            (1, "num", "int32", False), (2, "channels", "int32", False), (3, "height", "int32", False),
            (4, "width", "int32", False))
    declare("V1LayerParameter", (2, "bottom", "string", True), (4, "name", "string", False), (5, "type", "int32", False),
            (6, "blobs", "BlobProto", True))
    declare("LayerParameter", (1, "name", "string", False), (2, "type", "string", False), (7, "blobs", "BlobProto", True))
    declare("NetParameter", (1, "name", "string", False), (2, "layers", "V1LayerParameter", True),
            (100, "layer", "LayerParameter", True))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    net = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe{old}.NetParameter"))(name="AlexNet")
    norms = ["pool1", "norm1"] if swapped else ["norm1", "pool1"]
    for name in ["data", "conv1", "relu1", *norms, "conv2", "conv3", "conv4", "conv5", "fc6", "drop6", "fc7", "fc8"]:
        layer = (net.layers if old else net.layer).add(name=last if name == "fc8" else name)
        if settings:
            layer.type, number, data = settings[name]
            key = number << 3 | 2                               # (a field that is not declared above)
            layer.MergeFromString(bytes([key & 127 | 128, key >> 7, len(data)]) + data)
        for key in ("w", "b"):
            if f"{name}_{key}_0" in weights:
                array, blob = weights[f"{name}_{key}_0"], layer.blobs.add()
                length, size = array.nbytes, []
                while length:                                   # a varint; data.extend would take half a minute
                    length, low = divmod(length, 128)
                    size.append(low | (128 if length else 0))
                blob.MergeFromString(b"\x2a" + bytes(size) + array.astype("<f4").tobytes())
                shape = array.shape if not old else (1,) * (4 - array.ndim) + array.shape
                if old:
                    blob.num, blob.channels, blob.height, blob.width = shape
                else:
                    blob.shape.dim.extend(shape)
    return net.SerializeToString()


@pytest.mark.parametrize("old", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_caffes_net_agrees_with_onnxruntime_at_227_pixels(light, bvlc_weights, tmp_path, old):
    runtime = pytest.importorskip("onnxruntime")
    path = tmp_path / "bvlc_alexnet.caffemodel"
    path.write_bytes(caffemodel(bvlc_weights, old))
    net, picture = load(path), photo()
    assert net.side == 227
    model = with_weights(light, bvlc_weights, side=227).SerializeToString()
    wanted, = runtime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(
        None, {"data_0": as_caffe_takes_it(picture, 227)})
    assert difference(net.predict(picture[None]), wanted) < 1e-4
    filters = bvlc_weights["conv1_w_0"][:, ::-1].transpose(2, 3, 1, 0)              # red, green, blue
    np.testing.assert_array_equal(net.network.weights()["conv1.W"], filters)


@pytest.mark.parametrize("old", [False, True])
def test_layers_of_a_caffemodel(tmp_path, old):
    """Old files give every blob four lengths."""
    path, W, b = tmp_path / "small.caffemodel", np.arange(12, dtype=np.float32).reshape(3, 4), np.float32([1, -2, 3])
    path.write_bytes(caffemodel({"fc6_w_0": W, "fc6_b_0": b}, old))
    layers = {layer.name: layer.blobs for layer in read_caffe(path)}
    assert list(layers)[:2] == ["data", "conv1"] and layers["conv1"] == []
    for found, wanted in zip(layers["fc6"], (W, b), strict=True):
        np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)
        assert found.ndim == (4 if old else wanted.ndim)


def test_a_fine_tuned_caffemodel(bvlc_weights, tmp_path):
    """205 places, as in a well-known model of scenes; the last layer has another name."""
    path, weights = tmp_path / "places.caffemodel", dict(bvlc_weights)
    weights |= {"fc8_w_0": weights["fc8_w_0"][:205], "fc8_b_0": weights["fc8_b_0"][:205]}
    path.write_bytes(caffemodel(weights, last="fc8_places"))
    net = load(path)
    assert net.classes == [str(i) for i in range(205)]
    np.testing.assert_array_equal(net.network.weights()["fc8.b"], weights["fc8_b_0"])
    few = {name: array[:1, :1] if array.ndim > 1 else array[:1] for name, array in weights.items() if name < "fc8"}
    path.write_bytes(caffemodel(few))
    with pytest.raises(CheckpointError, match="found the layers with weights conv1, .* fc7, expected five convolutions and three"):
        load(path)


@pytest.mark.parametrize("old", [False, True])
def test_a_caffemodel_with_other_settings_is_refused(tmp_path, old):
    """The same weights with another stride are another net. The bytes follow caffe.proto: (number << 3 | wire type, value) …"""
    alpha = b"\x15" + np.float32(1e-4).tobytes()
    conv, pool, norm = (4, 17, 15) if old else ("Convolution", "Pooling", "LRN")
    numbers = (10, 19, 18) if old else (106, 121, 118)
    kinds = {name: (type, number) for type, number, names in zip((conv, pool, norm), numbers, (
        ["conv1", "conv2", "conv3", "conv4", "conv5"], ["pool1"], ["norm1"])) for name in names}
    ours = dict(conv1=b"\x30\x04", conv2=b"\x18\x02\x28\x02", conv3=b"\x18\x01", conv4=b"\x18\x01\x28\x02",
                conv5=b"\x48\x01\x50\x01\x28\x02", pool1=b"\x10\x03\x18\x02", norm1=b"\x08\x05" + alpha)

    def layers(**other):
        settings = {name: (*kinds[name], data) for name, data in (ours | other).items()}
        nothing = 99 if old else "ReLU"
        path = tmp_path / "some.caffemodel"
        path.write_bytes(caffemodel({}, old, settings={name: settings.get(name, (nothing, 130, b"")) for name in (
            "data", "relu1", "fc6", "drop6", "fc7", "fc8", *settings)}))
        return read_caffe(path)

    expect_settings("some", layers())
    for name, changed, found in (
            ("conv1", b"\x30\x02", "conv1 has stride 2, expected 4"), ("conv2", b"\x18\x02", "conv2 has group 1, expected 2"),
            ("conv3", b"\x48\x01\x50\x00", "conv3 has pad 0 and 1, expected 1"), ("pool1", b"\x10\x02\x18\x02", "pool1 has kernel_size 2"),
            ("pool1", b"\x08\x01\x10\x03\x18\x02", "pool1 has pool 1, expected 0"),
            ("norm1", b"\x08\x03" + alpha, "norm1 has local_size 3, expected 5"), ("norm1", b"", "norm1 has alpha 1, expected 0.0001"),
            ("conv5", ours["conv5"] + b"\x90\x01\x02", "conv5 has dilation 2, expected 1")):
        with pytest.raises(CheckpointError, match=found):
            expect_settings("some", layers(**{name: changed}))


def test_caffenet_is_not_taken_for_alexnet(bvlc_weights, tmp_path):
    """The same names and shapes, but pooled before it is normalised."""
    predictions = []
    for swapped in False, True:
        path = tmp_path / "some.caffemodel"
        path.write_bytes(caffemodel(bvlc_weights, swapped=swapped))
        net = load(path)
        order = [name for name in net.network.towers[0] if name in ("norm1", "pool1", "norm2", "pool2")]
        assert order == (["pool1", "norm1", "pool2", "norm2"] if swapped else ["norm1", "pool1", "norm2", "pool2"])
        predictions.append(net.predict(np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), np.uint8)))
    assert not np.array_equal(*predictions)


def test_what_does_not_fit_is_named(light, tmp_path):
    """Other graphs of the zoo, and this one with one number changed."""
    import onnx
    for name, what in (("light_vgg19", r"found kernel_shape \[3, 3\] at conv1, expected \[11, 11\]"),
                       ("light_zfnet512", r"found kernel_shape \[7, 7\] at conv1, expected \[11, 11\]"),
                       ("light_squeezenet", r"found kernel_shape \[3, 3\] at conv1, expected \[11, 11\]")):
        with pytest.raises(CheckpointError, match=what):
            load(light.with_name(f"{name}.onnx"))
    for operator, attribute, value, sentence in (
            ("LRN", "alpha", 2e-4, "found alpha 0.0002 at norm1, expected 0.0001"),
            ("LRN", "bias", 2.0, "found bias 2 at norm1, expected 1"), ("LRN", "size", 3, "found size 3 at norm1"),
            ("Conv", "strides", [2, 2], r"found strides \[2, 2\] at conv1, expected \[4, 4\]"),
            ("MaxPool", "pads", [0, 0, 1, 1], r"found pads \[0, 0, 1, 1\] at pool1, expected \[0, 0, 0, 0\]"), ("Gemm", "transB", 0, r"fc6.weight is \(9216, 4096\), expected \(4096, 9216\)")):
        model = onnx.load(light)
        node = next(node for node in model.graph.node if node.op_type == operator)
        kept = [own for own in node.attribute if own.name != attribute]
        del node.attribute[:]
        node.attribute.extend([*kept, onnx.helper.make_attribute(attribute, value)])
        path = tmp_path / "changed.onnx"
        path.write_bytes(model.SerializeToString())
        with pytest.raises(CheckpointError, match=sentence):
            load(path)
    model = onnx.load(light)
    norm, pool = (next(node for node in model.graph.node if node.op_type == operator) for operator in ("LRN", "MaxPool"))
    pool.input[0], norm.input[0] = norm.input[0], pool.output[0]
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match="found LRN beside another layer at norm1, expected LRN, each layer after"):
        load(path)
    with pytest.raises(CheckpointError, match="found no nowhere.onnx: expected a run's folder or a file of weights"):
        load("nowhere.onnx")


# ONNX by other exporters ----------------------------------------------------------------------------------------------

SMALL = dict(kernels=(4, 6, 4, 4, 4), neurons=8)


@pytest.fixture
def narrow(monkeypatch):
    """torchvision's net with few kernels, known in its place."""
    published = TORCHVISION._replace(options=TORCHVISION.options | SMALL)
    for module in ("onnx_model", "pth", "safetensors_file"):
        monkeypatch.setattr(importlib.import_module(f"interop.{module}"), "TORCHVISION", published)
    return published


def torchvision_tensors(published, classes=10, seed=0):
    """{"conv1.weight": …}: random weights in PyTorch's layout."""
    network = MODELS["alexnet"](classes, (published.side, published.side, 3), **published.options, init=None)
    network.load_weights(random_weights(network, seed))
    return channels_first(network)


class Exporter:
    """Writes torchvision's net in one of the ways in which exporters write it. forms: the names of the ways."""

    def __init__(self, tensors, *forms, opset=13, dtype=np.float32):
        self.tensors, self.forms, self.opset, self.dtype = tensors, forms, opset, dtype
        self.nodes, self.initializers, self.at, self.count = [], [], "x", 0

    def add(self, operator, *inputs, **attributes):
        from onnx import helper
        self.count += 1
        self.nodes.append(helper.make_node(operator, list(inputs), [f"t{self.count}"], **attributes))
        return f"t{self.count}"

    def constant(self, array, name=None):
        from onnx import numpy_helper
        self.count += 1
        made = numpy_helper.from_array(np.asarray(array), name or f"c{self.count}")
        if "constant nodes" in self.forms:
            return self.add("Constant", value=made)
        self.initializers.append(made)
        return made.name

    def parameter(self, name):
        return self.constant(self.tensors[name].astype(self.dtype), name)

    def conv(self, name, **attributes):
        K = len(self.tensors[f"{name}.bias"])
        if "bias apart" in self.forms:
            del attributes["kernel_shape"]                  # the kernels have it
            self.at = self.add("Conv", self.at, self.parameter(f"{name}.weight"), **attributes)
            bias = self.constant(self.tensors[f"{name}.bias"].reshape(1, K, 1, 1))
            self.at = self.add("Add", bias, self.at)
        else:
            self.at = self.add("Conv", self.at, self.parameter(f"{name}.weight"), self.parameter(f"{name}.bias"), **attributes)
        self.at = self.add("Relu", self.at)

    def pool(self):
        if "Cast" in self.forms:
            self.at = self.add("Cast", self.at, to=1)
        ceil = dict(ceil_mode=1) if "ceil" in self.forms else {}
        self.at = self.add("MaxPool", self.at, kernel_shape=[3, 3], strides=[2, 2], **ceil)

    def fc(self, name):
        W, b = self.tensors[f"{name}.weight"].astype(self.dtype), self.parameter(f"{name}.bias")
        if "transposed" in self.forms:
            self.at = self.add("MatMul", self.at, self.add("Transpose", self.constant(W), perm=[1, 0]))
            self.at = self.add("Add", self.at, b)
        elif "MatMul" in self.forms:
            self.at = self.add("Add", b, self.add("MatMul", self.at, self.constant(np.ascontiguousarray(W.T))))
        elif "transB=0" in self.forms:
            self.at = self.add("Gemm", self.at, self.constant(np.ascontiguousarray(W.T)), b)
        else:
            self.at = self.add("Gemm", self.at, self.constant(W), b, transB=1, alpha=1.0, beta=1.0)

    def dropout(self):
        if "Dropout" in self.forms and self.opset >= 12:
            self.at = self.add("Dropout", self.at, self.constant(np.float32(0.5)), self.constant(np.array(False)))
        elif "Dropout" in self.forms:
            self.at = self.add("Dropout", self.at, ratio=0.5)
        if "Identity" in self.forms:
            self.at = self.add("Identity", self.at)

    def flatten(self):
        if "Reshape" in self.forms:
            self.at = self.add("Reshape", self.at, self.constant(np.array([-1, 36 * SMALL["kernels"][4]])))
        elif "Shape" in self.forms:                         # view(x.size(0), -1)
            first = self.add("Gather", self.add("Shape", self.at), self.constant(np.array(0)), axis=0)
            axes = self.constant(np.array([0]))
            parts = [self.add("Unsqueeze", first, axes), self.add("Unsqueeze", self.constant(np.array(-1)), axes)]
            self.at = self.add("Reshape", self.at, self.add("Concat", *parts, axis=0))
        else:
            self.at = self.add("Flatten", self.at, axis=1)

    def model(self):
        from onnx import TensorProto, helper
        self.conv("conv1", kernel_shape=[11, 11], strides=[4, 4], pads=[2] * 4)
        self.pool()
        self.conv("conv2", pads=[2] * 4, kernel_shape=[5, 5])
        self.pool()
        for name in ("conv3", "conv4", "conv5"):
            self.conv(name, kernel_shape=[3, 3], pads=[1] * 4, dilations=[1, 1], group=1)
        self.pool()
        if "AveragePool" in self.forms:
            self.at = self.add("AveragePool", self.at, kernel_shape=[1, 1], strides=[1, 1])
        self.flatten()
        for name in ("fc6", "fc7"):
            self.dropout()
            self.fc(name)
            self.at = self.add("Relu", self.at)
        self.fc("fc8")
        if "Softmax" in self.forms:
            self.at = self.add("Softmax", self.at, axis=1)
        elem = helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        inputs = [helper.make_tensor_value_info("x", elem, ["N", 3, 224, 224])]
        if "listed" in self.forms:
            inputs += [helper.make_tensor_value_info(item.name, item.data_type, item.dims) for item in self.initializers]
        graph = helper.make_graph(self.nodes, "net", inputs, [helper.make_tensor_value_info(
            self.at, elem, ["N", len(self.tensors["fc8.bias"])])], self.initializers)
        assert TensorProto.FLOAT == 1
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


FORMS = [(), ("transB=0", "Softmax"), ("MatMul", "Dropout"), ("transposed", "Reshape", "Identity"), ("bias apart", "ceil"),
         ("constant nodes", "Shape", "Dropout"), ("AveragePool", "Reshape", "Cast"), ("listed", "Dropout", "Identity", "Softmax")]


@pytest.mark.parametrize("forms, opset", [*((forms, 13) for forms in FORMS), (("Dropout", "Reshape"), 7), (("Dropout",), 9),
                                          (("Dropout",), 11), (("Dropout", "constant nodes"), 18), (("Shape",), 21)])
def test_torchvisions_net_in_onnx_in_many_forms(narrow, tmp_path, forms, opset):
    """onnxruntime runs the same file."""
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    tensors, path = torchvision_tensors(narrow), tmp_path / "net"
    path.write_bytes(Exporter(tensors, *forms, opset=opset).model().SerializeToString())
    net = load(path)
    assert (net.side, len(net.classes), net.classes[9]) == (224, 10, "9")
    for name, array in channels_first(net.network).items():
        np.testing.assert_array_equal(array, tensors[name])
    x = np.random.default_rng(0).standard_normal((2, 3, 224, 224), np.float32)
    wanted, = runtime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    if "Softmax" not in forms:
        wanted = np.exp(wanted - wanted.max(1, keepdims=True))
        wanted /= wanted.sum(1, keepdims=True)
    assert difference(net.network.predict(np.ascontiguousarray(x.transpose(0, 2, 3, 1))), wanted) < 1e-4


@pytest.mark.parametrize("kind", ["raw half", "int32_data", "bfloat16", "bfloat16 in int32_data", "double_data", "external"])
def test_types_and_places_of_onnxs_numbers(narrow, tmp_path, kind):
    onnx = pytest.importorskip("onnx")
    tensors, path = torchvision_tensors(narrow), tmp_path / "net.onnx"
    model = Exporter(tensors).model()
    for item in model.graph.initializer:
        array = onnx.numpy_helper.to_array(item)
        upper = (array.astype("<f4").view("<u4") >> 16).astype("<u2")
        if kind == "raw half":
            item.CopyFrom(onnx.numpy_helper.from_array(array.astype("<f2"), item.name))
        elif kind == "external":
            continue
        elif kind == "double_data":
            item.data_type, item.raw_data = 11, b""
            item.double_data.extend(array.ravel().tolist())
        elif kind == "bfloat16":
            item.data_type, item.raw_data = 16, upper.tobytes()
        else:
            half = kind == "int32_data"
            item.data_type = 10 if half else 16
            item.ClearField("raw_data")
            item.int32_data.extend((array.astype("<f2").view("<u2") if half else upper).ravel().tolist())
    if kind == "external":
        onnx.save(model, path, save_as_external_data=True, location="net.data", size_threshold=0)
        assert path.stat().st_size < 10_000
    else:
        path.write_bytes(model.SerializeToString())
    for name, array in channels_first(load(path).network).items():
        wanted = tensors[name]
        if "half" in kind or kind == "int32_data":
            wanted = wanted.astype("<f2").astype("<f4")
        elif "bfloat16" in kind:
            wanted = (wanted.view("<u4") & np.uint32(0xFFFF0000)).view("<f4")
        np.testing.assert_array_equal(array, wanted, err_msg=name)


@pytest.mark.parametrize("place, sentence", [
    (dict(location="/etc/passwd"), "not in its own folder"), (dict(location="../secret"), "not in its own folder"),
    (dict(location="a/../../secret"), "not in its own folder"), (dict(location="..\\secret"), "not in its own folder"),
    (dict(location="link"), "not in its own folder"), (dict(location="C:\\secret"), "not in its own folder"),
    (dict(location="folder/link"), "not in its own folder"), (dict(location=""), "not in its own folder"),
    (dict(location="absent.data"), "in a second file, absent.data, which is not beside it: fetch that too"),
    (dict(location="net.data", length="1000000000000"), "a tensor of .* bytes"), (dict(location="net.data", offset="-4"), "a tensor"),
    (dict(location="net.data", offset="40"), "a tensor of .* bytes"), (dict(location="folder"), "is not beside it")])
def test_external_data_stay_in_the_models_folder(narrow, tmp_path, place, sentence):
    onnx = pytest.importorskip("onnx")
    (tmp_path / "secret").write_bytes(bytes(1 << 20))
    home = tmp_path / "home"
    (home / "folder").mkdir(parents=True)
    (home / "net.data").write_bytes(bytes(64))
    for link in (home / "link", home / "folder" / "link"):
        link.symlink_to(tmp_path / "secret")
    model = Exporter(torchvision_tensors(narrow)).model()
    item = model.graph.initializer[0]
    item.ClearField("raw_data")
    item.data_location = onnx.TensorProto.EXTERNAL
    for key, value in place.items():
        item.external_data.add(key=key, value=value)
    (home / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match=sentence):
        load(home / "net.onnx")


def without_relu(nodes):
    nodes[2].input[0] = nodes[0].output[0]
    del nodes[1]


def with_strides(nodes):
    next(attribute for attribute in nodes[0].attribute if attribute.name == "strides").ints[:] = [2, 2]


def with_global_pooling(nodes):
    next(node for node in nodes if node.op_type == "Flatten").op_type = "GlobalAveragePool"


def of_another_domain(nodes):
    nodes[0].domain = "com.example"


def with_computed_weights(nodes):
    nodes[0].input[1] = "y"


@pytest.mark.parametrize("spoil, sentence", [
    (without_relu, "found MaxPool at relu1, expected Relu"), (with_strides, r"found strides \[2, 2\] at conv1, expected \[4, 4\]"),
    (with_global_pooling, "found GlobalAveragePool at flatten, expected Flatten"),
    (of_another_domain, "found com.example.Conv at conv1, expected Conv"),
    (with_computed_weights, "found Conv with computed weights at conv1, expected Conv")])
def test_another_graph_is_told_by_its_first_difference(narrow, tmp_path, spoil, sentence):
    pytest.importorskip("onnx")
    model = Exporter(torchvision_tensors(narrow)).model()
    spoil(model.graph.node)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match=sentence):
        load(tmp_path / "net.onnx")


# bvlc_alexnet.npy ----------------------------------------------------------------------------------------------------

def as_tensorflow_lays_them(weights):
    """{"conv1": [W, b], …} of Caffe's weights, as caffe-tensorflow writes them: kernels (R, S, C/G, K), fc6's inputs position
    by position."""
    table = {}
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"):
        W = weights[f"{name}_w_0"]
        table[name] = [W.transpose(2, 3, 1, 0) if W.ndim == 4 else W.T, weights[f"{name}_b_0"]]
    return table


@pytest.mark.parametrize("keys", [None, ("weights", "biases"), ("kernel", "bias")])
def test_the_dictionary_of_arrays(bvlc_weights, tmp_path, keys):
    table = as_tensorflow_lays_them(bvlc_weights)
    if keys:                                                    # fine-tuned, and its order lost
        table["fc8"] = [table["fc8"][0][:, :7], table["fc8"][1][:7]]
        written = {{"fc8": "fc8_flowers"}.get(name, name): dict(zip(keys, table[name])) for name in sorted(table, reverse=True)}
    else:
        written = table
    np.save(tmp_path / "bvlc_alexnet.npy", np.array(written, object), allow_pickle=True)
    net = load(tmp_path / "bvlc_alexnet.npy")
    assert len(net.classes) == (7 if keys else 1000)
    weights = net.network.weights()
    for name, (W, b) in table.items():
        if name == "conv1":
            W = W[:, :, ::-1]                                   # blue, green, red → red, green, blue
        np.testing.assert_array_equal(weights[f"{name}.W"], W, err_msg=name)
        np.testing.assert_array_equal(weights[f"{name}.b"], b, err_msg=name)


def old_npy(table):
    """The bytes of a .npy of one object as Python 2 wrote it: arrays' numbers are strings of bytes (here by hand)."""
    def text(value):
        return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + len(value).to_bytes(4, "little") + value

    def array(values):
        shape = b"(" + b"".join(b"K" + bytes([n]) for n in values.shape) + b"t"
        return (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0t" + text(b"b") + b"tR(K\1" + shape
                + b"cnumpy\ndtype\n(" + text(b"f4") + b"K\0K\1tR(K\3" + text(b"<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
                + b"K\0tb\x89" + text(values.tobytes()) + b"tb")

    entries = b"".join(text(name.encode()) + b"]" + b"(" + b"".join(map(array, arrays)) + b"e" for name, arrays in
                       table.items())
    outer = (b"\x80\2cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0t" + text(b"b") + b"tR(K\1)cnumpy\ndtype\n("
             + text(b"O8") + b"K\0K\1tR(K\3" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb\x89](}(" + entries
             + b"uetb.")
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"
    head += b" " * (-(len(head) + 11) % 16) + b"\n"
    return b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head + outer


def test_a_dictionary_that_python_2_wrote(tmp_path):
    table = {"conv1": [np.arange(12, dtype=np.float32).reshape(3, 4) / 3, np.float32([1, -2])],
             "fc6": [np.full((100, 2), 0.1, np.float32), np.float32([7])]}
    path = tmp_path / "old.npy"
    path.write_bytes(old_npy(table))
    found = read_npy(path)
    assert list(found) == list(table)
    for name in table:
        for a, b in zip(found[name], table[name], strict=True):
            np.testing.assert_array_equal(a, b)
    again = np.load(path, allow_pickle=True, encoding="latin1").item()              # NumPy reads the same
    np.testing.assert_array_equal(again["conv1"][0], table["conv1"][0])


# torchvision's -------------------------------------------------------------------------------------------------------

def torchvision_models():
    """torchvision.models, also where its compiled part is for another build of PyTorch: nothing here needs that."""
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("compares with torchvision")
    try:
        return importlib.import_module("torchvision.models")
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
        return importlib.import_module("torchvision.models")


@pytest.fixture(scope="module")
def torchvisions():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    models = torchvision_models()
    torch.manual_seed(3)
    net = models.alexnet(weights=None).eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("weight"):
                torch.nn.init.kaiming_normal_(parameter)
    return net


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["zip", "old", "safetensors"])
def test_torchvisions_net(torchvisions, tmp_path, kind):
    """From a photograph's pixels on, with torchvision's own preprocessing."""
    import torch
    from torchvision.transforms.functional import center_crop, normalize, to_tensor
    path = tmp_path / ("alexnet-owt.safetensors" if kind == "safetensors" else "alexnet-owt.pth")
    if kind == "safetensors":
        pytest.importorskip("safetensors.torch").save_file(torchvisions.state_dict(), path)
    else:
        torch.save(torchvisions.state_dict(), path, _use_new_zipfile_serialization=kind == "zip")
    net, picture = load(path), photo()
    x = normalize(to_tensor(center_crop(torch.tensor(picture).permute(2, 0, 1), 224).permute(1, 2, 0).numpy()),
                  [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])[None]
    with torch.no_grad():
        wanted = torchvisions(x).softmax(1).numpy()
        wanted64 = torchvisions.double()(x.double()).softmax(1).numpy()
        torchvisions.float()
    assert difference(net.predict(picture[None]), wanted) < 1e-4
    x = np.ascontiguousarray(x.permute(0, 2, 3, 1).double().numpy())
    assert difference(in_float64(net).predict(x), wanted64) < 1e-5


def tiny_state():
    """What tests/files/tiny.pth holds: several views of one storage, a transposed one, half and double precision."""
    import torch
    numbers = torch.arange(24, dtype=torch.float32)
    return {"whole": numbers.reshape(2, 3, 4), "turned": numbers.reshape(4, 6).t(), "part": numbers[5:9],
            "double": torch.arange(3, dtype=torch.float64) / 3, "half": torch.arange(4, dtype=torch.float16).reshape(2, 2),
            "none": torch.zeros(0, 3), "parameter": torch.nn.Parameter(numbers[:2])}


def arrays_of(path):
    """{name: array} of a .pth that holds nothing but tensors."""
    state, storages = read_pth(path)
    return {name: resolve(tensor, storages) for name, tensor in state.items()}


@pytest.mark.parametrize("name", ["tiny.pth", "tiny-old.pth"])
def test_a_state_dict_without_pytorch(name):
    numbers = np.arange(24, dtype=np.float32)
    wanted = {"whole": numbers.reshape(2, 3, 4), "turned": numbers.reshape(4, 6).T, "part": numbers[5:9],
              "double": np.arange(3) / 3, "half": np.arange(4, dtype=np.float16).reshape(2, 2),
              "none": np.zeros((0, 3), np.float32), "parameter": numbers[:2]}
    found = arrays_of(FILES / name)
    assert list(found) == list(wanted)
    for key in wanted:
        assert found[key].dtype == wanted[key].dtype
        np.testing.assert_array_equal(found[key], wanted[key], err_msg=key)


@pytest.mark.torch
def test_the_tiny_files_are_what_pytorch_writes(tmp_path):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    torch.save(tiny_state(), tmp_path / "tiny.pth")
    assert {name: array.tolist() for name, array in arrays_of(tmp_path / "tiny.pth").items()} == {
        name: array.tolist() for name, array in arrays_of(FILES / "tiny.pth").items()}


# Checkpoints as people have them ---------------------------------------------------------------------------------------

def torchvision_names(tensors, rename=lambda name: name):
    """The tensors under torchvision's names, each name changed by `rename`."""
    numbers = {name: key for key, name in LAYERS.items() if "." in key}
    return {rename(f"{numbers[name.split('.')[0]]}.{name.split('.')[1]}"): array for name, array in tensors.items()}


class Written:
    """A tensor that pickles as PyTorch's do, with its numbers in `storages`. dtype: of the storage, "Float" or another."""

    def __init__(self, array, storages, dtype="Float", parameter=False):
        self.array, self.key, self.dtype, self.parameter = array, str(len(storages)), dtype, parameter
        storages[self.key] = array

    def __reduce__(self):
        size = self.array.shape
        strides = tuple(int(np.prod(size[i + 1:])) for i in range(len(size)))
        own = (Global("torch._utils _rebuild_tensor_v2"), (Storage(self), 0, size, strides, False, OrderedDict()))
        return (Global("torch._utils _rebuild_parameter"), (Called(*own), True, OrderedDict())) if self.parameter else own


class Called:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


class Storage:
    def __init__(self, tensor):
        self.identity = ("storage", Global(f"torch {tensor.dtype}Storage"), tensor.key, "cpu", tensor.array.size)


class Global:
    """Pickles as the name of a thing that need not exist here."""

    def __init__(self, name):
        self.name = name

    def __call__(self):
        raise AssertionError("a name, not called here")


class Writer(pickle._Pickler):
    def persistent_id(self, value):
        return value.identity if isinstance(value, Storage) else None

    def save(self, value, save_persistent_id=True):
        if isinstance(value, Global):
            self.write(b"c" + value.name.replace(" ", "\n").encode() + b"\n")
        else:
            super().save(value, save_persistent_id)


def pickled(value):
    file = io.BytesIO()
    Writer(file, 2).dump(value)
    return file.getvalue()


def write_pth(path, value, storages, old=False):
    """A .pth by hand, as torch.save writes it since 1.6 or (old) before."""
    if old:
        head = b"".join(pickled(part) for part in (0x1950A86A20F9469CFC6C, 1001, {}, value, list(storages)))
        path.write_bytes(head + b"".join(array.size.to_bytes(8, "little") + array.tobytes() for array in storages.values()))
        return
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(value))
        for key, array in storages.items():
            archive.writestr(f"archive/data/{key}", array.tobytes())


WRAPPED = {
    "plain": (lambda name: name, lambda state: state),
    "ImageNet example": (lambda name: name.replace("features.", "features.module."),
                         lambda state: {"epoch": 90, "arch": "alexnet", "best_acc1": 56.5, "state_dict": state,
                                        "optimizer": {"state": {0: {"step": 3}}, "param_groups": [{"lr": 0.01, "params": [0]}]}}),
    "DataParallel": (lambda name: f"module.{name}", lambda state: {"model": state}),
    "deep": (lambda name: f"module.model.backbone.{name}", lambda state: {"hyper": None, "list": [1, "a"], "a": {"b": [state]}}),
    "Lightning": (lambda name: f"net.{name}", lambda state: {"model_state_dict": state, "args": Called(Global("argparse Namespace"),
                                                                                                     ())})}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("form", WRAPPED)
def test_state_dicts_in_wrappings(narrow, tmp_path, form, old):
    tensors, storages, path = torchvision_tensors(narrow), {}, tmp_path / "checkpoint.tar"
    rename, wrap = WRAPPED[form]
    state = OrderedDict((name, Written(array, storages, parameter=form == "deep"))
                        for name, array in torchvision_names(tensors, rename).items())
    state["epochs"], state["steps"] = 3, Written(np.arange(3), storages, "Long")
    write_pth(path, wrap(state), storages, old)
    net = load(path)
    for name, array in channels_first(net.network).items():
        np.testing.assert_array_equal(array, tensors[name])


def test_of_two_nets_the_first_is_taken_and_another_layer_is_named(narrow, tmp_path):
    student, teacher, storages = torchvision_tensors(narrow), torchvision_tensors(narrow, seed=1), {}
    state = {f"{prefix}.{name}": Written(array, storages) for prefix, tensors in (("student", student), ("teacher", teacher))
             for name, array in torchvision_names(tensors).items()}
    write_pth(tmp_path / "two", state, storages)
    np.testing.assert_array_equal(load(tmp_path / "two").network.weights()["fc8.b"], student["fc8.bias"])
    state["student.features.1.weight"] = Written(np.ones(4, np.float32), storages)
    state["student.head.weight"] = Written(np.ones(4, np.float32), storages)
    write_pth(tmp_path / "norm", state, storages)
    with pytest.raises(CheckpointError, match="features.1.weight is unknown; student.head.weight is unknown"):
        load(tmp_path / "norm")


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("dtype", ["Half", "BFloat16", "Double"])
def test_types_of_storage(narrow, tmp_path, dtype, old):
    tensors, storages, wanted, state = torchvision_tensors(narrow), {}, {}, {}
    for name, array in tensors.items():
        upper = (array.view("<u4") >> 16).astype("<u2")
        stored = {"Half": array.astype("<f2"), "BFloat16": upper, "Double": array.astype("<f8")}[dtype]
        wanted[name] = (upper.astype("<u4") << 16).view("<f4") if dtype == "BFloat16" else stored.astype("<f4")
        state[name] = Written(stored, storages, dtype)
    state = torchvision_names(state)
    for kind, code in dict(Int="<i4", Byte="u1", Bool="?", Short="<i2", Char="i1").items():
        state[kind] = Written(np.ones(3, code), storages, kind)
    write_pth(tmp_path / "net.pth", state, storages, old)
    for name, array in channels_first(load(tmp_path / "net.pth").network).items():
        np.testing.assert_array_equal(array, wanted[name])


@pytest.mark.parametrize("code", ["F32", "F16", "BF16"])
def test_safetensors_with_a_prefix(narrow, tmp_path, code):
    tensors, table, numbers = torchvision_tensors(narrow), {}, b""
    for name, array in torchvision_names(tensors, lambda name: f"model.{name}").items():
        stored = {"F32": array, "F16": array.astype("<f2"), "BF16": (array.view("<u4") >> 16).astype("<u2")}[code].tobytes()
        table[name] = dict(dtype=code, shape=array.shape, data_offsets=[len(numbers), len(numbers) + len(stored)])
        numbers += stored
    head = json.dumps(table).encode()
    (tmp_path / "model").write_bytes(len(head).to_bytes(8, "little") + head + numbers)
    for name, array in channels_first(load(tmp_path / "model").network).items():
        np.testing.assert_allclose(array, tensors[name], rtol=0 if code == "F32" else 2**-7, atol=1e-6 * (code != "F32"))


@pytest.fixture
def in_pytorch(narrow):
    """torchvision's net with few kernels as a PyTorch module, by hand: torchvision is not needed."""
    nn = pytest.importorskip("torch", reason="compares with PyTorch").nn
    K1, K2, K3, K4, K5 = SMALL["kernels"]

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(3, K1, 11, 4, 2), nn.ReLU(True), nn.MaxPool2d(3, 2), nn.Conv2d(K1, K2, 5, padding=2), nn.ReLU(True),
                nn.MaxPool2d(3, 2), nn.Conv2d(K2, K3, 3, padding=1), nn.ReLU(True), nn.Conv2d(K3, K4, 3, padding=1), nn.ReLU(True),
                nn.Conv2d(K4, K5, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(3, 2))
            self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
            F = SMALL["neurons"]
            self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(36 * K5, F), nn.ReLU(True), nn.Dropout(), nn.Linear(F, F),
                                            nn.ReLU(True), nn.Linear(F, 10))

        def forward(self, x):
            return self.classifier(self.avgpool(self.features(x)).flatten(1))

    return Net().eval()


def expect_same(path, module, tolerance=1e-5):
    """The net in a file predicts what a PyTorch module does."""
    import torch
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        wanted = module.float()(x).softmax(1).numpy()
    found = load(path).network.predict(np.ascontiguousarray(x.permute(0, 2, 3, 1).numpy()))
    assert difference(found, wanted) < tolerance


@pytest.mark.torch
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_a_checkpoint_that_pytorch_saves(in_pytorch, tmp_path, dtype, old):
    import argparse

    import torch
    module = in_pytorch.to(getattr(torch, dtype))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    module(torch.zeros(1, 3, 224, 224, dtype=module.features[0].weight.dtype)).sum().backward()
    optimizer.step()
    state = torch.nn.DataParallel(module).state_dict() if old else dict(module.named_parameters(prefix="model"))
    torch.save({"epoch": 3, "acc": torch.tensor(0.5), "best": np.float64(0.5), "args": argparse.Namespace(lr=0.1), "path": tmp_path,
                "dtype": torch.float32, "device": torch.device("cpu"), "size": torch.Size([1]), "state_dict": state,
                "optimizer": optimizer.state_dict(), "mask": torch.ones(3, dtype=torch.bool), "rng": torch.get_rng_state()},
               tmp_path / "model.ckpt", _use_new_zipfile_serialization=not old)
    expect_same(tmp_path / "model.ckpt", module)


@pytest.mark.torch
@pytest.mark.parametrize("dynamo, opset", [(False, 9), (False, 13), (False, 17), (False, 20), (True, 18), (True, 21)])
def test_onnx_that_pytorch_exports(in_pytorch, tmp_path, dynamo, opset):
    import torch
    pytest.importorskip("onnx")
    if dynamo:
        pytest.importorskip("onnxscript", reason="PyTorch's newer exporter needs onnxscript")
    x = (torch.zeros(2, 3, 224, 224),)
    torch.onnx.export(in_pytorch, x, str(tmp_path / "net.onnx"), opset_version=opset, dynamo=dynamo)
    expect_same(tmp_path / "net.onnx", in_pytorch)


@pytest.mark.torch
def test_what_pytorch_saves_with_its_code(in_pytorch, tmp_path):
    import torch
    torch.jit.trace(in_pytorch, torch.zeros(1, 3, 224, 224)).save(tmp_path / "traced.pt")
    with pytest.raises(CheckpointError, match="a TorchScript archive"):
        load(tmp_path / "traced.pt")
    for old in (False, True):
        torch.save(in_pytorch.features, tmp_path / "module.pt", _use_new_zipfile_serialization=not old)
        with pytest.raises(CheckpointError, match=r"a whole pickled module \(torch.nn.modules.container.Sequential\)"):
            load(tmp_path / "module.pt")


# Names of classes, a mean image ----------------------------------------------------------------------------------------

@pytest.fixture
def five(tmp_path):
    """The file of a net of five classes."""
    net = small(channels=3, size=32, side=28)
    save_checkpoint(tmp_path / "net.npz", dict(use=net.facts()), weights=net.network.weights(), use={"mean": net.mean})
    return tmp_path / "net.npz"


@pytest.mark.parametrize("text", [
    b"cat\ndog\nfox\nowl\nbrown bear\n\n", b"\xef\xbb\xbfcat\r\ndog\r\nfox\r\nowl\r\nbrown bear",
    "cat\ndog\nfox\nowl\nbrown bear".encode("utf-16"), b'["cat", "dog", "fox", "owl", "brown bear"]',
    b'{"1": "dog", "0": "cat", "2": "fox", "4": "brown bear", "3": "owl"}',
    b'{"cat": 0, "dog": 1, "fox": 2, "owl": 3, "brown bear": 4}'])
def test_names_of_classes(five, tmp_path, text):
    (tmp_path / "names").write_bytes(text)
    assert load(five, classes=tmp_path / "names").classes == ["cat", "dog", "fox", "owl", "brown bear"]


def test_names_of_classes_in_a_list_and_by_wnid(five, tmp_path):
    assert load(five, classes=["a", "b", "c", "d", "e"]).classes == ["a", "b", "c", "d", "e"]
    (tmp_path / "synset_words.txt").write_text("".join(f"n0000000{i} word {i}, other\n" for i in range(5)))
    (tmp_path / "index.json").write_text(json.dumps({str(i): [f"n0000000{i}", f"word {i}"] for i in range(5)}))
    for name in ("synset_words.txt", "index.json"):
        assert load(five, classes=tmp_path / name).classes == [f"n0000000{i}" for i in range(5)]


@pytest.mark.parametrize("text, sentence", [
    (b"a\nb", "names has 2 names, .*net.npz has 5 classes: name a file with one name for each"), (b"", "has 0 names"),
    (b"a\n\nb\nc\nd\ne", "has an empty line"), (b"\xff\x00\xe9", "not text in UTF-8"), (b'{"0": "a", "7": "b"}', "not a JSON list"),
    (b'["a", 3]', "not a JSON list"), (b"[" * 100_000, "not a JSON list"), (b'{"x": "a"}', "not a JSON list"), (None, "cannot be read")])
def test_names_that_do_not_fit(five, tmp_path, text, sentence):
    if text is not None:
        (tmp_path / "names").write_bytes(text)
    with pytest.raises(UserError, match=sentence):
        load(five, classes=tmp_path / "names")


def varint(number):
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def binaryproto(array):
    """A BlobProto of Caffe's (num, channels, height, width, data)."""
    head = b"".join(bytes([8 * i]) + varint(length) for i, length in enumerate((1, *array.shape), start=1))
    return head + b"\x2a" + varint(4 * array.size) + array.astype("<f4").tobytes()


@pytest.mark.parametrize("side", [32, 28])
@pytest.mark.parametrize("kind", ["binaryproto", "npy"])
def test_caffes_mean_image(five, tmp_path, kind, side):
    """Blue, green, red there; red, green, blue here; and subtracted where the view is cut."""
    array, path = np.random.default_rng(0).uniform(80, 120, (3, side, side)), tmp_path / "mean"
    if kind == "npy":
        with open(path, "wb") as file:
            np.save(file, array)
    else:
        path.write_bytes(binaryproto(array))
    net, x = load(five, mean=path), np.full((1, 32, 32, 3), 200, np.uint8)
    assert net.mean.dtype == np.float32 and net.mean.shape == (side, side, 3)
    np.testing.assert_allclose(net.mean[3, 4], array[::-1, 3, 4], rtol=1e-6)
    start = (side - 28) // 2
    np.testing.assert_allclose(next(iter(net.views(x)))[0, 0, 0], (200 - array[::-1, start, start]) * net.scale, rtol=1e-4)
    with pytest.raises(CheckpointError, match="mean image of Caffe.*: name it with --mean" if kind == "binaryproto" else
                       "holds one array of float64 .*--mean"):
        load(path)


@pytest.mark.parametrize("data, sentence", [
    (binaryproto(np.ones((3, 20, 20))), r"a mean image of \(3, 20, 20\), expected \(3, 32, 32\) or \(3, 28, 28\)"),
    (binaryproto(np.ones((1, 32, 32))), "a mean image of"), (binaryproto(np.full((3, 32, 32), np.nan)), "not finite"),
    (binaryproto(np.ones((3, 32, 32)))[:500], "no mean image of Caffe's"), (b"", "a mean image|no mean image"),
    (b"<html>", "no mean image"), (None, "cannot be read")])
def test_mean_images_that_do_not_fit(five, tmp_path, data, sentence):
    if data is not None:
        (tmp_path / "mean").write_bytes(data)
    with pytest.raises(UserError, match=sentence):
        load(five, mean=tmp_path / "mean")


def test_a_net_of_grey_images_takes_no_mean_of_three_channels(tmp_path):
    net = small()
    save_checkpoint(tmp_path / "net.npz", dict(use=net.facts()), weights=net.network.weights(), use={"mean": net.mean})
    (tmp_path / "mean").write_bytes(binaryproto(np.ones((3, 32, 32))))
    with pytest.raises(UserError, match="of 3 channels, .*net.npz takes 1"):
        load(tmp_path / "net.npz", mean=tmp_path / "mean")


# What else a file may be -----------------------------------------------------------------------------------------------

def archive_of(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return file.getvalue()


@pytest.mark.parametrize("name, data, sentence", [
    ("a.pth", b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "is a web page, .*: download the file itself"),
    ("a.onnx", b"\n  <HTML>", "a web page"), ("a.npy", b"", "an empty file"), ("a.pth", b"\xef\xbb\xbfhello \xc3\xa9\n", "a text"),
    ("a.caffemodel", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a Git LFS pointer.*: run git lfs pull"),
    ("a.pth.tar", b"\x1f\x8b\x08\0\0", "a gzip archive.*: unpack it first"), ("a.bin", b"\x89HDF\r\n\x1a\n\0\0", "HDF5 .*: convert it"),
    ("a.tar", bytes(257) + b"ustar" + bytes(250), "a tar archive"), ("a.zip", archive_of("weights/net.pth"), "a zip archive.*: unpack"),
    ("a.png", b"\x89PNG\r\n\x1a\n", "a PNG image"), ("a.jpg", b"\xff\xd8\xff\xe0", "a JPEG image"),
    ("a.pt", archive_of("net/data.pkl", "net/constants.pkl", "net/code/x.py"), r"a TorchScript archive.*: .*state_dict\(\)"),
    ("a.keras", archive_of("config.json", "model.weights.h5"), "an archive of Keras"), ("a.pth", b"PK\3\4...", "not a whole one"),
    ("a.json", b'{"metadata": {}}', "in JSON"), ("a", b"\x7fELF\2\1\1\0", "unknown kind .*7f 45 4c 46"),
    ("a.pkl", pickle.dumps({"a": 1}, 4), "a pickle that torch.save did not write.*: in PyTorch save")])
def test_a_file_of_another_kind_is_told(tmp_path, name, data, sentence):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CheckpointError, match=sentence) as found:
        load(tmp_path / name)
    assert str(found.value).startswith(str(tmp_path / name)) and "\n" not in str(found.value)


def test_names_from_a_file_stay_on_one_line(tmp_path):
    """What a pickle refers to, what a tensor is called, what a node is called."""
    hostile = b"\x8c\x05a\nb\x1b[\x8c\x05c\nd\n\n\x93"             # STACK_GLOBAL
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\4" + hostile + b".")
    storages = {}
    write_pth(tmp_path / "b", {"one\ntwo ü": Written(np.ones(3, np.float32), storages)}, storages)
    for name in "ab":
        with pytest.raises(CheckpointError) as found:
            load(tmp_path / name)
        assert str(found.value).isprintable()


def test_a_whole_module_is_refused_with_a_next_step(tmp_path):
    module = Called(Global("mynets AlexNet"), (Called(Global("torch.nn.modules.conv Conv2d"), ()),))
    write_pth(tmp_path / "module.pth", module, {})
    with pytest.raises(CheckpointError, match=r"a whole pickled module \(mynets.AlexNet\).*: in PyTorch save net.state_dict\(\)"):
        load(tmp_path / "module.pth")


@pytest.mark.parametrize("ending", ["", ".bin", ".PTH", ".onnx", ".model"])
def test_a_file_is_told_by_its_content(tmp_path, ending):
    net = small()
    save_checkpoint(tmp_path / "net", dict(use=net.facts()), weights=net.network.weights(), use={"mean": net.mean})
    (tmp_path / "net").rename(tmp_path / f"weights{ending}")
    assert load(tmp_path / f"weights{ending}").classes == net.classes


# Files with something in them ----------------------------------------------------------------------------------------

class Bomb:
    def __reduce__(self):
        return os.system, ("touch exploded",)


@pytest.mark.parametrize("kind", ["zip", "old", "npy", "numpy's", "build", "checkpoint"])
def test_nothing_in_a_file_is_run(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ("weights.npy" if kind in ("npy", "numpy's", "build") else "weights.npz" if kind == "checkpoint"
                       else "weights.pth")
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps({"features.0.weight": Bomb()}, 2))
    elif kind == "old":
        path.write_bytes(b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {}, Bomb(), [])))
    elif kind == "npy":
        np.save(path, np.array({"conv1": [Bomb(), Bomb()]}, object), allow_pickle=True)
    elif kind == "numpy's":                                     # names that are near those that are allowed
        head = old_npy({})[:old_npy({}).index(b"\x80\2")]
        path.write_bytes(head + b"\x80\2cnumpy\nload\n(U\1xtR.")
    elif kind == "build":                                       # a state for what is not ours
        head = old_npy({})[:old_npy({}).index(b"\x80\2")]
        path.write_bytes(head + b"\x80\2cnumpy\ndtype\n(U\2f4tR}U\7__class__U\3intsb.")
    else:
        np.savez(path, facts=np.array([Bomb()], object))
    with pytest.raises(CheckpointError, match="weights"):
        load(path)
    assert not (tmp_path / "exploded").exists()
    if kind in ("zip", "old", "npy"):
        with pytest.raises(CheckpointError, match="refers to (posix|nt).system, which a table of weights does not need"):
            load(path)


@pytest.mark.parametrize("tensor", [((0,), 5, (2,), (1,)), ((0,), 0, (3, 3), (3, 1)), ((0,), 0, (2,), (1 << 39,)),
                                    ((0,), -1, (2,), (1,)), ((0,), 0, (2,), (-1,)), ((0,), 0, (2, 2), (1,))])
def test_a_tensor_outside_its_storage_is_refused(tensor):
    """It would be memory of this process."""
    _, offset, size, stride = tensor
    with pytest.raises(ValueError, match="a tensor"):
        resolve(Tensor(("<f4", "0", 6), offset, size, stride), {"0": bytes(24)})


def test_a_foreign_state_dict_is_named(tmp_path):
    """tiny.pth is none of torchvision's alexnet."""
    with pytest.raises(CheckpointError, match="found tensors whole, turned, part …, expected features.0.weight to classifier.6.bias"):
        load(FILES / "tiny.pth")


# Out, and in again ---------------------------------------------------------------------------------------------------

NETS = {"two towers": dict(), "one tower": dict(towers=1), "across": dict(towers=1, lrn_across=True), "no norm":
        dict(lrn=False, inverted_dropout=True), "tanh": dict(activation="tanh", lrn_alpha=0.01, lrn_k=1.0), "one gpu":
        dict(one_gpu=True), "without": dict(without="conv4", dropout=0.0), "pool of 2": dict(pool=2),
        "ceil": dict(pool_ceil=("pool1", "pool2", "pool5")), "figure1": dict(model="figure1"),
        "colour": dict(channels=3, scale=(0.01, 0.02, 0.03))}


@pytest.fixture(params=NETS.items(), ids=NETS)
def net(request):
    return small(**request.param[1])


@pytest.mark.parametrize("ending", ["safetensors", "onnx", "npz"])
def test_an_exported_net_comes_back_to_the_bit(net, tmp_path, ending):
    path = tmp_path / f"net.{ending}"
    if ending == "npz":
        save_checkpoint(path, dict(use=net.facts()), weights=net.network.weights(), use={"mean": net.mean})
    else:
        if ending == "onnx":
            pytest.importorskip("onnx")
        module = {"onnx": "onnx_model", "safetensors": "safetensors_file"}[ending]
        __import__(f"interop.{module}")
        sys.modules[f"interop.{module}"].export(net, path)
    again, x = load(path), images(net)
    assert (again.classes, again.size, again.side, again.options | {}) == (
        net.classes, net.size, net.side, json.loads(json.dumps(net.options)))
    for views in (1, 10):
        np.testing.assert_array_equal(again.predict(x, views), net.predict(x, views))


def test_an_exported_onnx_model_gives_the_same_in_onnxruntime(net, tmp_path):
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    from interop.onnx_model import export
    path = tmp_path / "net.onnx"
    export(net, path)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 13)]
    norms = [layer for layer in net.network.towers[0] if layer.startswith("norm")]
    grouped = len(net.network.towers) > 1 or net.options.get("towers") == 1 and not net.options.get("lrn_across")
    assert sum(node.op_type == "LRN" for node in model.graph.node) == len(norms) * (2 if grouped else 1)
    x = images(net, 5)
    found, = runtime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(
        None, {"images": np.ascontiguousarray(x.transpose(0, 3, 1, 2)).astype(np.float32)})
    wanted = net.predict(x)
    assert wanted.max() > 1.2 / len(net.classes)
    assert difference(found, wanted) < 1e-5


def test_an_exported_safetensors_file_opens_elsewhere(tmp_path):
    library = pytest.importorskip("safetensors")
    from interop.safetensors_file import export
    from interop.safetensors_file import read as read_safetensors
    net, path = small(), tmp_path / "net.safetensors"
    export(net, path)
    with library.safe_open(path, "numpy") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}
        assert json.loads(file.metadata()["alexnet"])["classes"] == net.classes
    shapes = {name: array.shape for name, array in found.items()}
    assert shapes["conv1.weight"] == (16, 1, 5, 5) and shapes["conv2.weight"] == (48, 8, 5, 5)
    assert shapes["fc8.weight"] == (5, 512) and shapes["fc8.bias"] == (5,) and shapes["mean"] == (32, 32, 1)
    own, _ = read_safetensors(path)
    assert own.keys() == found.keys() and all(np.array_equal(own[name], found[name]) for name in own)
    np.testing.assert_array_equal(found["conv1.weight"][3, 0, 1, 2], net.network.weights()["conv1.W"][1, 2, 0, 3])


@pytest.mark.torch
def test_an_exported_safetensors_file_in_pytorch(tmp_path):
    """The tensors, put into PyTorch's own layers, give the same: names, order of fc6 and all."""
    torch, safe = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    F = torch.nn.functional
    from interop.safetensors_file import export
    net = small(lrn=False, inverted_dropout=True, towers=1, groups=1)
    export(net, tmp_path / "net.safetensors")
    w = safe.load_file(tmp_path / "net.safetensors")
    images_ = images(net)
    start = (net.size - net.side) // 2
    crop = slice(start, start + net.side)
    x = (torch.tensor(images_).float() - w["mean"])[:, crop, crop].permute(0, 3, 1, 2) * float(net.scale)
    for i, padding in enumerate((2, 2, 1, 1, 1), start=1):
        x = F.relu(F.conv2d(x, w[f"conv{i}.weight"], w[f"conv{i}.bias"], padding=padding))
        x = F.max_pool2d(x, 3, 2) if i in (1, 2, 5) else x
    x = x.flatten(1)
    for name in ("fc6", "fc7"):
        x = F.relu(F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"]))
    found = F.linear(x, w["fc8.weight"], w["fc8.bias"]).softmax(1).numpy()
    assert difference(found, net.predict(images_)) < 1e-5


@pytest.mark.parametrize("name, shape", [("fc8.weight", (512, 5)), ("conv3.weight", (64, 48, 9)), ("conv1.bias", (4, 4))])
def test_a_tensor_of_another_shape_is_named(name, shape):
    """Also where it has as many numbers."""
    network = small().network
    tensors = channels_first(network)
    expected = tensors[name].shape
    tensors[name] = tensors[name].reshape(shape)
    with pytest.raises(ValueError, match=re.escape(f"{name} is {shape}, expected {expected}")):
        channels_last(network, tensors)


def test_classes_and_their_names():
    classes = list(data.imagenet_classes())
    assert len(set(classes)) == 1000 and classes == sorted(classes) and classes[281] == "n02123045"
    assert title("n02123045") == "tabby" and title("Shirt") == "Shirt" and title("n99999999") == "n99999999"
    assert title("n02012849") == "crane (n02012849)"            # there are two kinds


# What is refused -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("change, sentence", [
    (dict(model="resnet"), "model must be one of alexnet, small, figure1, found 'resnet'"),
    (dict(options=dict(seed=3)), "found options"), (dict(options=dict(neurons=1 << 40)), "holds no net"),
    (dict(options=dict(kernels=[10**7, 10**7, 2, 2, 2])), "holds no net"), (dict(classes=[]), "not a list of names"),
    (dict(classes=["a"] * 4), "these weights are of another net"), (dict(side=33), "found views of 33"),
    (dict(scale="x"), "found scale 'x'"), (dict(scale=[1, 2]), "found scale"), (dict(scale=None), "found scale None"),
    (dict(scale=1e99), "found scale"), (dict(seed=-1), "its source, seed"), (dict(options=dict(stem=5)), "holds no net")])
def test_a_description_that_is_not_right(tmp_path, change, sentence):
    net, path = small(), tmp_path / "net.npz"
    save_checkpoint(path, dict(use=net.facts() | change), weights=net.network.weights(), use={"mean": net.mean})
    with pytest.raises(CheckpointError, match=sentence):
        read(path)


@pytest.mark.parametrize("spoil, sentence", [
    (lambda w: w.update({"fc8.b": np.full(5, np.nan, np.float32)}), r"fc8.b \(float32\) holds values that are not finite"),
    (lambda w: w.update({"fc8.b": np.full(5, 1e300)}), r"fc8.b \(float64\) holds values that are not finite"),
    (lambda w: w.update({"fc8.b": np.ones(5, np.int32)}), r"fc8.b \(int32\) holds values that are not finite"),
    (lambda w: w.pop("conv3.W"), "found conv3.W missing"), (lambda w: w.update(x=np.ones(1)), "expected none of that name"),
    (lambda w: w.update({"conv1.W": w["conv1.W"][1:]}), "found conv1.W")])
def test_weights_that_are_not_right(tmp_path, spoil, sentence):
    net, path = small(), tmp_path / "net.npz"
    weights = net.network.weights()
    spoil(weights)
    save_checkpoint(path, dict(use=net.facts()), weights=weights, use={"mean": net.mean})
    with pytest.raises(CheckpointError, match=sentence):
        read(path)


def test_a_run_of_before_says_so(tmp_path):
    save_checkpoint(tmp_path / "best.npz", dict(epoch=3), weights={"conv1.W": np.ones(3)})
    with pytest.raises(CheckpointError, match="does not say how its net is used: expected a best.npz as train.py writes"):
        load(tmp_path)


def test_an_archive_that_unfolds_is_refused(tmp_path):
    """Compressed zeros: a thousand times as long when read."""
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, facts=np.zeros(1 << 24, np.uint8))
    assert path.stat().st_size < 1 << 16
    with pytest.raises(CheckpointError, match="compressed, expected files stored as they are"):
        read(path)


def test_wire_format():
    """Numbers and bytes as Google's description of the format gives them."""
    assert message(bytes.fromhex("089601")) == {1: [150]}
    assert message(bytes.fromhex("08ffffffffffffffffff01")) == {1: [-1]}
    assert bytes(message(bytes.fromhex("120774657374696e67"))[2][0]) == b"testing"
    assert integers(message(bytes.fromhex("3206038e029ea705"))[6]) == [3, 270, 86942]
    for broken in ("08", "0880", "120774", "0b", "08ffffffffffffffffffff01", "0d0000"):
        with pytest.raises(ValueError):
            message(bytes.fromhex(broken))


def test_reading_needs_no_package(tmp_path):
    """Every reader, in a Python that has NumPy, Pillow, Matplotlib, tqdm and threadpoolctl alone."""
    code = ("import sys\nfor name in ('onnx', 'onnxruntime', 'safetensors', 'torch', 'torchvision', 'google', "
            "'imagenet_classes'): sys.modules[name] = None\n"
            "import interop.onnx_model, interop.caffe, interop.pth, interop.npy, interop.safetensors_file, evaluate")
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).resolve().parents[1], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr


def test_the_published_nets_have_their_number_of_parameters():
    """Caffe's 60,965,224 and torchvision's 61,100,840."""
    for published, count in (BVLC, 60_965_224), (TORCHVISION, 61_100_840):
        network = MODELS["alexnet"](1000, (published.side, published.side, 3), **published.options, init=None)
        assert sum(array.size for array in network.weights().values()) == count
        assert channels_first(network)["fc6.weight"].shape == (4096, 9216)
