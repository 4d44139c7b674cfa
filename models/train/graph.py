"""Writes a trained network as an ONNX graph, in 32-bit floats or with 8-bit convolutions.

The graph takes and gives 8-bit planes: conversion, transform, clipping and rounding are inside.
Sides are symbolic; whoever opens a session fixes them.

The 8-bit graph (QDQ form) keeps activations unsigned and weights signed, per output channel, in
**seven** bits: AVX2 machines without VNNI add pairs of products in 16 bits and would saturate with
eight, and then no two kinds of machine would give the same picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from auralink.models.train.nets import GRID, REACH, SIDE_CENTRE, SIDE_GAIN, SPAN, Restore

Array = npt.NDArray[np.float32]

OPSET = 17
WEIGHT_LIMIT = 63  # seven bits
STATE_SCALE = SPAN / 127  # inputs and hidden state
RESULT_SCALE = 1 / 127  # last layer, clamped to ±1
ZERO = 128


@dataclass(slots=True)
class Graph:
    """Nodes and constants, in order of computation."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def constant(self, name: str, value: npt.NDArray[np.generic] | float) -> str:
        array = np.asarray(value, np.float32) if isinstance(value, float) else value
        self.constants.setdefault(name, numpy_helper.from_array(array, name))
        return name

    def add(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def quantize(self, x: str, scale: float, zero: int) -> str:
        scale_name, zero_name = self._scale(x, scale, zero)
        return self.add("QuantizeLinear", [x, scale_name, zero_name], f"{x}_q")

    def dequantize(self, x: str, scale: float, zero: int) -> str:
        scale_name, zero_name = self._scale(x, scale, zero)
        return self.add("DequantizeLinear", [x, scale_name, zero_name], f"{x}_dq")

    def _scale(self, x: str, scale: float, zero: int) -> tuple[str, str]:
        return (
            self.constant(f"{x}_scale", float(scale)),
            self.constant(f"{x}_zero", np.array(zero, np.uint8)),
        )


class RestoreGraph:
    """Builds the graph of one network; `ranges` (largest activation by name) asks for 8 bits."""

    def __init__(self, net: Restore, ranges: Mapping[str, float] | None = None) -> None:
        self._net = net
        self._weights = {k: v.detach().cpu().float().numpy() for k, v in net.state_dict().items()}
        self._ranges = ranges
        self._graph = Graph()
        self.ranged: list[str] = []  # activations whose range the 8-bit graph asks for

    def build(self) -> onnx.ModelProto:
        current, seen = self._inputs()
        made = self._body(seen)
        residual, hidden = self._split(made)
        self._output(current, residual)
        self._graph.nodes[-1].output[0] = "output"
        self._rename(hidden, "next_hidden")
        return self._model()

    # -- stages ---------------------------------------------------------------------------------

    def _inputs(self) -> tuple[str, str]:
        """Planes to channels; the side inputs arrive as a bias of the transform."""
        g, w = self._graph, self._weights
        current = g.add("Cast", ["current"], "current_f", to=TensorProto.FLOAT)
        before = g.add("Cast", ["previous_output"], "before_f", to=TensorProto.FLOAT)
        change = g.add("Sub", [before, current], "change_f")
        kernel = w["side.0.weight"] * np.float32(SIDE_GAIN)
        offset = w["side.0.bias"] - kernel @ np.float32(SIDE_CENTRE)
        inputs = ["side", g.constant("side_w0", kernel), g.constant("side_b0", offset)]
        first = g.add("Gemm", inputs, "side_0", transB=1)
        first = g.add("Relu", [first], "side_1")
        # current - 1/2 only moves the DC: fold it into that channel's bias
        bias = w["side.2.bias"].copy()
        bias[0] -= 0.5 * GRID * w["gain"][0]
        second = g.add(
            "Gemm",
            [first, g.constant("side_w2", w["side.2.weight"]), g.constant("side_b2", bias)],
            "side_2",
            transB=1,
        )
        flat = g.add("Reshape", [second, g.constant("flat", np.array([-1], np.int64))], "side_3")
        split, end = self._net.shape.picture, self._net.shape.seen
        parts = [
            self._transform(current, flat, 0, split, "picture"),
            self._transform(change, flat, split, end, "change"),
        ]
        return current, self._gather(parts)

    def _transform(self, plane: str, bias: str, start: int, end: int, name: str) -> str:
        """DCT of a plane of grey levels, with input channels `start` to `end` of gain and bias."""
        g, w = self._graph, self._weights
        kernel = w["dct"][: end - start] * (w["gain"][start:end] / 255)[:, None, None, None]
        own_bias = self._slice(bias, start, end, 0, f"{name}_bias")
        inputs = [plane, g.constant(f"{name}_dct", kernel.astype(np.float32)), own_bias]
        sides = [GRID, GRID]
        return g.add("Conv", inputs, f"{name}_x", kernel_shape=sides, strides=sides)

    def _gather(self, parts: list[str]) -> str:
        g = self._graph
        if self._ranges is None:
            low, high = g.constant("low", -SPAN), g.constant("high", SPAN)
            parts = [g.add("Clip", [part, low, high], f"{part}_c") for part in parts]
            return g.add("Concat", [*parts, "hidden"], "seen", axis=1)
        parts = [g.quantize(part, STATE_SCALE, ZERO) for part in [*parts, "hidden"]]
        joined = g.add("Concat", parts, "seen", axis=1)
        return g.dequantize(joined, STATE_SCALE, ZERO)

    def _body(self, seen: str) -> str:
        g, w = self._graph, self._weights
        x = self._conv(seen, w["stem.weight"], w["stem.bias"], "stem", relu=True)
        for index in range(self._net.shape.plain):
            name = f"plain.{index}"
            x = self._conv(x, w[f"{name}.weight"], w[f"{name}.bias"], name, relu=True)
        for index in range(self._net.shape.blocks):
            name = f"blocks.{index}"
            inner = self._conv(
                x, w[f"{name}.first.weight"], w[f"{name}.first.bias"], f"{name}.first", relu=True
            )
            inner = self._conv(
                inner, w[f"{name}.second.weight"], w[f"{name}.second.bias"], f"{name}.second"
            )
            x = self._ranged(g.add("Add", [x, inner], f"{name}.sum"), signed=True)
        kernel, bias = self._spatial_head()
        return self._conv(x, kernel, bias, "head", ranged=False)

    def _spatial_head(self) -> tuple[Array, Array]:
        """The last convolution with the inverse DCT folded into its picture part."""
        kernel, bias = self._weights["head.weight"].copy(), self._weights["head.bias"].copy()
        inverse = self._weights["dct"].reshape(16, 16).T
        kernel[:16] = np.einsum("pk,kihw->pihw", inverse, kernel[:16])
        bias[:16] = inverse @ bias[:16]
        return kernel, bias

    def _split(self, made: str) -> tuple[str, str]:
        """Residual in grey levels, and the hidden state."""
        g, grey = self._graph, REACH * 255
        end = 16 + self._net.shape.hidden
        if self._ranges is None:
            made = g.add("Clip", [made, g.constant("minus", -1.0), g.constant("plus", 1.0)], "made")
            residual = self._slice(made, 0, 16, 1, "residual")
            hidden = self._slice(made, 16, end, 1, "state")
            residual = g.add("Mul", [residual, g.constant("grey", grey)], "residual_f")
            return residual, g.add("Mul", [hidden, g.constant("span", SPAN)], "state_f")
        made = g.quantize(made, RESULT_SCALE, ZERO)
        residual = self._slice(made, 0, 16, 1, "residual")
        hidden = self._slice(made, 16, end, 1, "state")
        return (
            g.dequantize(residual, RESULT_SCALE * grey, ZERO),
            g.dequantize(hidden, STATE_SCALE, ZERO),
        )

    def _output(self, current: str, residual: str) -> None:
        g = self._graph
        plane = g.add("DepthToSpace", [residual], "residual_plane", blocksize=GRID, mode="DCR")
        plane = g.add("Add", [plane, current], "sum")
        plane = g.add("Clip", [plane, g.constant("black", 0.0), g.constant("white", 255.0)], "fit")
        plane = g.add("Round", [plane], "rounded")
        g.add("Cast", [plane], "output", to=TensorProto.UINT8)

    # -- pieces ---------------------------------------------------------------------------------

    def _conv(
        self,
        x: str,
        kernel: Array,
        bias: Array,
        name: str,
        *,
        relu: bool = False,
        ranged: bool = True,
    ) -> str:
        g = self._graph
        if self._ranges is None:
            weight = g.constant(f"{name}_w", kernel)
        else:
            weight = self._seven_bits(kernel, name)
        inputs = [x, weight, g.constant(f"{name}_b", bias)]
        y = g.add("Conv", inputs, name, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        if relu:
            y = g.add("Relu", [y], f"{name}_r")
        return self._ranged(y, signed=not relu) if ranged else y

    def _ranged(self, x: str, *, signed: bool) -> str:
        """Through 8 bits and back, in the 8-bit graph."""
        self.ranged.append(x)
        if self._ranges is None:
            return x
        largest = self._ranges[x]
        scale, zero = (largest / 127, ZERO) if signed else (largest / 255, 0)
        return self._graph.dequantize(self._graph.quantize(x, scale, zero), scale, zero)

    def _seven_bits(self, kernel: Array, name: str) -> str:
        g = self._graph
        scale = np.maximum(np.abs(kernel).max(axis=(1, 2, 3)), 1e-8) / WEIGHT_LIMIT
        steps = np.rint(kernel / scale[:, None, None, None]).astype(np.int8)
        inputs = [
            g.constant(f"{name}_w", steps),
            g.constant(f"{name}_w_scale", scale.astype(np.float32)),
            g.constant(f"{name}_w_zero", np.zeros(len(scale), np.int8)),
        ]
        return g.add("DequantizeLinear", inputs, f"{name}_w_dq", axis=0)

    def _slice(self, x: str, start: int, end: int, axis: int, output: str) -> str:
        g = self._graph
        bounds = [g.constant(f"at_{n}", np.array([n], np.int64)) for n in (start, end, axis)]
        return g.add("Slice", [x, *bounds], output)

    def _rename(self, old: str, new: str) -> None:
        for node in self._graph.nodes:
            node.output[:] = [new if name == old else name for name in node.output]

    def _model(self) -> onnx.ModelProto:
        plane = [1, 1, "height", "width"]
        state = [1, self._net.shape.hidden, "rows", "columns"]
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self._graph.nodes,
            "restore",
            [
                value("current", TensorProto.UINT8, plane),
                value("previous_output", TensorProto.UINT8, plane),
                value("hidden", TensorProto.FLOAT, state),
                value("side", TensorProto.FLOAT, [1, len(SIDE_CENTRE)]),
            ],
            [
                value("output", TensorProto.UINT8, plane),
                value("next_hidden", TensorProto.FLOAT, state),
            ],
            list(self._graph.constants.values()),
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="auralink"
        )
        model.ir_version = 8  # the oldest that knows this opset: old runtimes read it too
        onnx.checker.check_model(model, full_check=True)
        return model
