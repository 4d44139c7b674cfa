"""Pieces of the learned codec's ONNX graphs: convolutions, gains, the integer path, quantization.

Weights are stored in 16-bit floats and widened when a session is made, so that the files are half
as large; what is computed is 32 bits wide throughout, or 8 where the graph says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from auralink.models.train.neural.layers import Gains, IntegerConv
from auralink.models.train.neural.rate import dead_zone
from auralink.models.train.neural.shape import ANCHORS, INDICES, LARGEST_HYPER

Array = npt.NDArray[np.float32]

OPSET = 17
WEIGHT_LIMIT = 63  # seven bits: with eight, machines without VNNI saturate, see models/train/graph
SIGNED_ZERO = 128


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a graph."""

    name: str
    dtype: int  # of TensorProto
    shape: tuple[int | str, ...]

    def proto(self) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(self.name, self.dtype, list(self.shape))


@dataclass(slots=True)
class Builder:
    """Nodes and constants, in order of computation.

    ``ranges`` asks for 8 bits inside the blocks: largest magnitude of each activation by name.
    """

    ranges: Mapping[str, float] | None = None
    ranged: list[str] = field(default_factory=list)  # activations whose range 8 bits would need
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    # -- values ---------------------------------------------------------------------------------

    def add(self, op: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: npt.NDArray[np.generic] | float) -> str:
        array = np.asarray(value, np.float32) if isinstance(value, float) else value
        self.constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def weight(self, name: str, value: Array) -> str:
        """A constant in 16 bits."""
        half = self.constant(f"{name}_h", value.astype(np.float16))
        return self.add("Cast", [half], name, to=TensorProto.FLOAT)

    def cast(self, x: str, to: int, output: str) -> str:
        return self.add("Cast", [x], output, to=to)

    def scaled(self, x: str, factor: float, output: str) -> str:
        return self.add("Mul", [x, self.constant(f"{output}_by", factor)], output)

    def clipped(self, x: str, low: float, high: float, output: str) -> str:
        bounds = [self.constant(f"{output}_low", low), self.constant(f"{output}_high", high)]
        return self.add("Clip", [x, *bounds], output)

    # -- layers ---------------------------------------------------------------------------------

    def conv(self, x: str, kernel: Array, bias: Array, name: str, **attributes: object) -> str:
        inputs = [x, self.weight(f"{name}_w", kernel), self.constant(f"{name}_b", bias)]
        return self.add("Conv", inputs, name, kernel_shape=list(kernel.shape[2:]), **attributes)

    def layer(self, x: str, conv: nn.Conv2d, name: str, *, stride: int = 1) -> str:
        """A convolution as it was trained; padding keeps the size unless there is a stride."""
        return self.conv(x, weight_of(conv), bias_of(conv), name, strides=[stride, stride])

    def blocks(self, x: str, blocks: nn.Sequential, name: str) -> str:
        """Inverted bottlenecks."""
        for at, block in enumerate(blocks):
            x = self._block(x, block, f"{name}.{at}")
        return x

    def shuffle(self, x: str, output: str) -> str:
        """Each four channels to the corners of a cell twice as fine."""
        return self.add("DepthToSpace", [x], output, blocksize=2, mode="CRD")

    def gains(self, cells: str, gains: Gains, name: str) -> str:
        """Per-channel gains at qualities ``(1, 1, h, w)``: linear in the logarithm, by hats."""
        place = self.clipped(
            self.scaled(cells, 1 / gains.span, f"{name}.share"), 0.0, 1.0, f"{name}.fit"
        )
        place = self.scaled(place, float(ANCHORS - 1), f"{name}.place")
        at = self.constant("anchors", np.arange(ANCHORS, dtype=np.float32)[None, :, None, None])
        away = self.add("Abs", [self.add("Sub", [place, at], f"{name}.off")], f"{name}.away")
        one = self.constant("one", 1.0)
        hats = self.add("Relu", [self.add("Sub", [one, away], f"{name}.rest")], f"{name}.hats")
        table = gains.table.detach().numpy().T[:, :, None, None]
        kernel = self.weight(f"{name}.table", table)
        mixed = self.add("Conv", [hats, kernel], f"{name}.log", kernel_shape=[1, 1])
        return self.add("Exp", [mixed], name)

    def doubled(self, x: str, output: str) -> str:
        """Twice the sides, each value four times."""
        scales = self.constant("double", np.array([1, 1, 2, 2], np.float32))
        return self.add(
            "Resize",
            [x, "", scales],
            output,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def like(self, x: str, model: str, output: str) -> str:
        """`x` cut to the sides of `model`."""
        if f"{model}.sides" not in {node.name for node in self.nodes}:
            sides = self.add("Shape", [model], f"{model}.sides", start=2, end=4)
        else:
            sides = f"{model}.sides"
        start = self.constant("corner", np.zeros(2, np.int64))
        axes = self.constant("axes", np.array([2, 3], np.int64))
        return self.add("Slice", [x, start, sides, axes], output)

    # -- priors ---------------------------------------------------------------------------------

    def hyper(self, y: str, prior: nn.Module) -> str:
        """z of y, whole: sides are filled up to multiples of four by repeating the border."""
        sides = self.add("Shape", [y], "y_sides", start=2, end=4)
        four = self.constant("four", np.array([4, 4], np.int64))
        lacks = self.add("Neg", [sides], "y_minus")
        lacks = self.add("Mod", [lacks, four], "y_lacks")
        none = self.constant("no_pads", np.zeros(6, np.int64))
        pads = self.add("Concat", [none, lacks], "y_pads", axis=0)
        padded = self.add("Pad", [y, pads], "y_padded", mode="edge")
        quarter = weight_of(prior.fold) * np.float32(0.25)
        folded = self.conv(padded, quarter, bias_of(prior.fold), "fold", strides=[2, 2])
        folded = self.add("Relu", [folded], "fold_r")
        z = self.layer(folded, prior.fold_again, "fold_again", stride=2)
        z = self.clipped(z, -float(LARGEST_HYPER), float(LARGEST_HYPER), "z_fit")
        return self.add("Round", [z], "z_whole")

    def told(self, z: str, prior: nn.Module, like: str) -> str:
        """What z tells of the means."""
        up = self.add("Relu", [self.layer(z, prior.mean_up, "mean_up")], "mean_up_r")
        out = self.layer(self.shuffle(up, "mean_up_s"), prior.mean_out, "mean_out")
        fine = self.add("Relu", [self.shuffle(out, "mean_out_s")], "told_whole")
        return self.like(fine, like, "told")

    def zone(self, z: str, prior: nn.Module, like: str) -> str:
        """Width of the dead zone of each symbol, by the scale that z tells."""
        up = self.shuffle(self._integer(z, prior.scale_up, "scale_up"), "scale_up_s")
        out = self.shuffle(self._integer(up, prior.scale_out, "scale_out"), "scale_out_s")
        index = self.cast(self.like(out, like, "index"), TensorProto.INT64, "index_i")
        table = dead_zone(torch.arange(INDICES, dtype=torch.float32)).numpy()
        return self.add("Gather", [self.constant("zones", table), index], "zone")

    def quantized(self, residual: str, zone: str, name: str) -> str:
        size = self.add("Abs", [residual], f"{name}.size")
        near = self.add("Less", [size, self.constant("near", 1.5)], f"{name}.near")
        wide = self.scaled(zone, 0.4, f"{name}.wide")
        lost = self.add("Where", [near, zone, wide], f"{name}.lost")
        up = self.add("Add", [size, self.constant("half", 0.5)], f"{name}.up")
        whole = self.add("Floor", [self.add("Sub", [up, lost], f"{name}.rest")], f"{name}.whole")
        return self.add("Mul", [self.add("Sign", [residual], f"{name}.sign"), whole], name)

    def features(self, trunk: str, reach: float, steps: int) -> None:
        """The output ``features``."""
        kept = self.clipped(
            self.scaled(trunk, float(steps), "trunk_16"), -reach * steps, reach * steps, "trunk_fit"
        )
        self.cast(self.add("Round", [kept], "trunk_whole"), TensorProto.INT8, "features")

    def picture(self, grey: str) -> None:
        """The output ``picture`` from samples in grey levels."""
        fit = self.clipped(self.add("Round", [grey], "grey_whole"), 0.0, 255.0, "grey_fit")
        self.cast(fit, TensorProto.UINT8, "picture")

    # -- the whole ------------------------------------------------------------------------------

    def model(self, name: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            name,
            [port.proto() for port in inputs],
            [port.proto() for port in outputs],
            list(self.constants.values()),
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="auralink"
        )
        model.ir_version = 8  # the oldest that knows this opset: old runtimes read it too
        onnx.checker.check_model(model, full_check=True)
        return model

    # -- inside ---------------------------------------------------------------------------------

    def _eight_bits(self, x: str, *, signed: bool) -> str:
        """Through 8 bits and back, in the 8-bit graph."""
        self.ranged.append(x)
        if self.ranges is None:
            return x
        scale, zero = (self.ranges[x] / 127, SIGNED_ZERO) if signed else (self.ranges[x] / 255, 0)
        steps = [self.constant(f"{x}_s", float(scale)), self.constant(f"{x}_z", np.uint8(zero))]
        small = self.add("QuantizeLinear", [x, *steps], f"{x}_q")
        return self.add("DequantizeLinear", [small, *steps], f"{x}_dq")

    def _small_conv(self, x: str, conv: nn.Conv2d, name: str, **attributes: object) -> str:
        """A convolution whose weights have seven bits, per output channel, in the 8-bit graph."""
        kernel, bias = weight_of(conv), bias_of(conv)
        if self.ranges is None:
            return self.conv(x, kernel, bias, name, **attributes)
        scale = np.maximum(np.abs(kernel).max((1, 2, 3)), 1e-8) / WEIGHT_LIMIT
        steps = np.rint(kernel / scale[:, None, None, None]).astype(np.int8)
        parts = [
            self.constant(f"{name}_w", steps),
            self.constant(f"{name}_w_s", scale.astype(np.float32)),
            self.constant(f"{name}_w_z", np.zeros(len(scale), np.int8)),
        ]
        weight = self.add("DequantizeLinear", parts, f"{name}_w_dq", axis=0)
        inputs = [x, weight, self.constant(f"{name}_b", bias)]
        return self.add("Conv", inputs, name, kernel_shape=list(kernel.shape[2:]), **attributes)

    def _block(self, x: str, block: nn.Module, name: str) -> str:
        """In 8 bits only what is added to the input is rounded, never the input itself."""
        channels, reach = block.spread.weight.shape[0], block.spread.weight.shape[2] // 2
        seen = self._eight_bits(x, signed=True)
        inner = self._small_conv(
            seen, block.spread, f"{name}.spread", group=channels, pads=[reach] * 4
        )
        inner = self._eight_bits(inner, signed=True)
        wide = self._small_conv(inner, block.widen, f"{name}.widen")
        wide = self._eight_bits(self.add("Relu", [wide], f"{name}.relu"), signed=False)
        narrow = self._small_conv(wide, block.narrow, f"{name}.narrow")
        narrow = self._eight_bits(narrow, signed=True)
        return self.add("Add", [x, narrow], f"{name}.sum")

    def _integer(self, x: str, layer: IntegerConv, name: str) -> str:
        weight, bias = (tensor.detach().numpy() for tensor in layer.integers())
        inputs = [x, self.constant(f"{name}_w", weight), self.constant(f"{name}_b", bias)]
        total = self.add("Conv", inputs, name, kernel_shape=[1, 1])
        down = self.add("Floor", [self.scaled(total, 2.0**-layer.shift, f"{name}_d")], f"{name}_f")
        return self.clipped(down, float(layer.low), float(layer.high), f"{name}_c")


def weight_of(conv: nn.Conv2d) -> Array:
    return conv.weight.detach().numpy()


def bias_of(conv: nn.Conv2d) -> Array:
    return conv.bias.detach().numpy()
