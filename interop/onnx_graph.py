"""An ONNX graph as a chain of layers: exporters write one net in many ways, and here they become one.

Left out, because they do not change a prediction: Identity, Dropout, Cast between types of floating-point numbers, average
pooling of 1×1 pixels (PyTorch's adaptive pooling), a second Flatten. Computed: Constant, ConstantOfShape, and Transpose of a
constant. Made one: Reshape and Flatten; MatMul or Gemm, its matrix transposed or not, and the Add after it.
"""

import math
from typing import NamedTuple

import numpy as np

from interop.onnx_file import DOUBLE, FLOAT, HALF

BFLOAT16 = 16
LARGEST = 1 << 28       # numbers of a constant of one value: more than any layer of a known net has


class Step(NamedTuple):
    operator: str           # with a remark where it is not usable: "Conv with computed weights"
    attributes: dict
    weights: list           # of arrays: the kernels or the matrix (F, inputs), and the bias


class Chain:
    """The steps of a Graph; `input`: the name of its images."""

    def __init__(self, graph):
        self.constants, self.computed, self.same = dict(graph.tensors), set(), {}
        self.steps, self.input, self.at, self.broken = [], None, None, False
        for node in graph.nodes:
            if not self.broken:
                self.add(node)

    def add(self, node):
        inputs = [self.same.get(name, name) for name in node.inputs]
        node = node._replace(inputs=inputs)
        if node.operator in VALUES and all(name in self.constants for name in inputs):
            self.constants[node.outputs[0]] = VALUES[node.operator](node, [self.constants[name] for name in inputs])
        elif all(name in self.constants or name in self.computed for name in inputs) or node.operator == "Shape":
            self.computed.update(node.outputs)              # of shapes: only Reshape may take it
        elif ADDS_NOTHING.get(node.operator, lambda attributes: False)(node.attributes):
            self.same[node.outputs[0]] = inputs[0]
        else:
            self.layer(node)

    def layer(self, node):
        """Add a step for a node that sees the images, or join the node to the step before it."""
        image, others = node.inputs[0], node.inputs[1:]
        if node.operator == "Add" and image in self.constants:
            image, others = others[0], [image]
        if self.at is None:
            self.input = self.at = image
        weights = [self.constants[name] for name in others if name in self.constants]
        if image != self.at:
            self.steps.append(Step(f"{node.operator} beside another layer", {}, []))
            self.broken = True
        elif node.operator == "Add" and weights and self.steps and (bias := bias_of(self.steps[-1], weights[0])) is not None:
            self.steps[-1].weights.append(bias)
        elif not (node.operator == "Reshape" and self.steps and self.steps[-1].operator == "Flatten"):
            self.steps.append(step(node, weights, len(weights) < sum(map(bool, others))))
        self.at = self.same[node.outputs[0]] = node.outputs[0]


def step(node, weights, lacks):
    """The Step of a node. lacks: whether some of what it takes besides the images is not constant."""
    attributes = dict(node.attributes)
    if node.operator in ("Reshape", "Flatten") and attributes.pop("axis", 1) == 1:
        return Step("Flatten", {}, [])                      # the matrix after it checks its output
    if lacks:
        return Step(f"{node.operator} with computed weights", {}, [])
    if node.operator in ("MatMul", "Gemm") and weights:
        if not attributes.get("transB"):
            weights = [weights[0].T, *weights[1:]]
        return Step("Gemm", attributes | dict(transB=1), [weights[0], *(bias.reshape(-1) for bias in weights[1:])])
    if node.operator == "Conv" and weights:                 # its kernel_shape need not be there
        attributes.setdefault("kernel_shape", list(weights[0].shape[2:]))
    return Step(node.operator, attributes, weights)


def bias_of(step, array):
    """The bias (K,) that an Add after a Conv or Gemm adds, if it is one, else None."""
    if len(step.weights) != 1 or step.operator not in ("Conv", "Gemm"):
        return None
    count = len(step.weights[0])
    shape = (count, 1, 1) if step.operator == "Conv" else (count,)
    return array.reshape(-1) if array.shape in (shape, (1, *shape)) else None


# What constants make -------------------------------------------------------------------------------------------------

def constant(node, _):
    """Constant: its one attribute, an array or numbers."""
    (value,) = node.attributes.values()
    return np.asarray(value)


def filled(node, inputs):
    """ConstantOfShape. (The onnx package's tests shrink large nets this way.)"""
    shape, value = tuple(map(int, inputs[0])), np.asarray(node.attributes.get("value", np.float32(0)))
    if min(shape, default=0) < 0 or math.prod(shape) > LARGEST:
        raise ValueError(f"a constant of shape {shape}")
    return np.broadcast_to(value.reshape(()), shape)


def transposed(node, inputs):
    return inputs[0].transpose(node.attributes.get("perm"))


VALUES = {"Constant": constant, "ConstantOfShape": filled, "Transpose": transposed, "Identity": lambda _, inputs: inputs[0],
          "Cast": lambda _, inputs: inputs[0]}

# What adds nothing ---------------------------------------------------------------------------------------------------

def of_one_pixel(attributes):
    """Whether an AveragePool leaves its maps as they are."""
    return (attributes.get("kernel_shape") == [1, 1] and attributes.get("strides", [1, 1]) == [1, 1]
            and not any(attributes.get("pads", [])))


ADDS_NOTHING = {"Identity": lambda attributes: True, "Dropout": lambda attributes: True, "AveragePool": of_one_pixel,
                "Cast": lambda attributes: attributes.get("to") in (FLOAT, HALF, DOUBLE, BFLOAT16)}
