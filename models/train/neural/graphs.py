"""The five ONNX graphs of the learned codec.

::

    key_analysis      picture ─► z, residual
    key_synthesis     z, symbols ─► picture, features
    delta_context     picture before and features before, moved ─► context
    delta_analysis    picture, prediction, context ─► z, residual
    delta_synthesis   prediction, context, z, symbols ─► picture, features

An encoder runs all of them, a decoder those that are no analysis; so both reconstruct through the
same graphs.  Residuals become symbols outside, by a dead zone.  Pictures are packed ``uint8 (1, 96,
h, w)``, features ``int8`` in 1/16; what is rounded to them is rounded inside.  Sides are symbolic;
whoever opens a session fixes them.
"""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto
from torch import nn

from auralink.models.train.neural.graph_parts import Array, Builder, Port, bias_of, weight_of
from auralink.models.train.neural.nets import Intra, Predict
from auralink.models.train.neural.shape import FEATURE_REACH, FEATURE_STEPS, PACKED

GRAPHS = ("key_analysis", "key_synthesis", "delta_context", "delta_analysis", "delta_synthesis")
GREY = 255.0
Ranges = Mapping[str, Mapping[str, float]]  # by graph, by activation


def build(
    intra: Intra, predict: Predict, ranges: Ranges | None = None
) -> dict[str, tuple[onnx.ModelProto, list[str]]]:
    """All five by name, each with the activations whose range 8 bits need.

    Args:
        ranges: makes the blocks compute in 8 bits.
    """
    makers = (_key_analysis, _key_synthesis, _delta_context, _delta_analysis, _delta_synthesis)
    nets: tuple[nn.Module, ...] = (intra, intra, predict, predict, predict)
    built = {}
    for name, make, net in zip(GRAPHS, makers, nets, strict=True):
        builder = Builder(None if ranges is None else ranges[name])
        built[name] = make(net, builder), builder.ranged
    return built


def _ports(net: nn.Module) -> dict[str, Port]:
    shape = net.prior.shape
    fine, coarse = ("h", "w"), ("rows", "columns")
    found = (
        Port("picture", TensorProto.UINT8, (1, PACKED, *fine)),
        Port("prediction", TensorProto.UINT8, (1, PACKED, *fine)),
        Port("moved", TensorProto.INT8, (1, shape.channels, *fine)),
        Port("features", TensorProto.INT8, (1, shape.channels, *fine)),
        Port("context", TensorProto.FLOAT, (1, shape.channels, *fine)),
        Port("seen", TensorProto.FLOAT, (1, SEEN, *coarse)),
        Port("quality", TensorProto.FLOAT, (1, 1, 1, 1)),
        Port("cells", TensorProto.FLOAT, (1, 1, *coarse)),
        Port("first", TensorProto.FLOAT, (1, 1, *coarse)),
        Port("hyper", TensorProto.INT8, (1, shape.hyper, "block_rows", "block_columns")),
        Port("residual", TensorProto.FLOAT, (1, shape.latent, *coarse)),
        Port("latent", TensorProto.INT16, (1, shape.latent, *coarse)),
    )
    return {port.name: port for port in found}


SEEN = 64  # channels that the context tells the means


def _model(
    b: Builder, net: nn.Module, name: str, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> onnx.ModelProto:
    ports = _ports(net)
    return b.model(name, [ports[p] for p in inputs], [ports[p] for p in outputs])


# -- keys -----------------------------------------------------------------------------------------


def _key_analysis(net: Intra, b: Builder) -> onnx.ModelProto:
    grey = b.cast("picture", TensorProto.FLOAT, "picture_f")
    kernel = weight_of(net.stem)
    bias = bias_of(net.stem) - 0.5 * kernel.sum((1, 2, 3))
    x = b.conv(grey, kernel / np.float32(GREY), bias, "stem")
    y = b.layer(b.blocks(x, net.analysis, "analysis"), net.down, "down", stride=2)
    y = b.add("Mul", [y, b.gains("quality", net.prior.encode_gain, "encode_gain")], "y")
    z = b.hyper(y, net.prior)
    b.cast(z, TensorProto.INT8, "hyper")
    zone = b.zone(z, net.prior, y)
    told = b.told(z, net.prior, y)
    mean = b.layer(told, net.mean, "mean")
    even = b.quantized(b.add("Sub", [y, mean], "residual_1"), zone, "even")
    mean = _second_mean(net, b, mean, told, even)
    b.add("Sub", [y, mean], "residual")
    return _model(b, net, "key_analysis", ("picture", "quality", "first"), ("hyper", "residual"))


def _key_synthesis(net: Intra, b: Builder) -> onnx.ModelProto:
    z = b.cast("hyper", TensorProto.FLOAT, "z")
    symbols = b.cast("latent", TensorProto.FLOAT, "symbols")
    told = b.told(z, net.prior, symbols)
    mean = b.layer(told, net.mean, "mean")
    mean = _second_mean(net, b, mean, told, symbols)
    y = b.add("Add", [mean, symbols], "y")
    y = b.add("Mul", [y, b.gains("quality", net.prior.decode_gain, "decode_gain")], "y_scaled")
    x = b.shuffle(b.layer(y, net.up, "up"), "up_s")
    x = b.add("Mul", [x, b.gains("quality", net.tune, "tune")], "tuned")
    trunk = b.blocks(x, net.synthesis, "synthesis")
    b.features(trunk, FEATURE_REACH, FEATURE_STEPS)
    kernel, bias = weight_of(net.head) * np.float32(GREY), (bias_of(net.head) + 0.5) * GREY
    b.picture(b.conv(trunk, kernel, bias.astype(np.float32), "head"))
    inputs = ("hyper", "latent", "quality", "first")
    return _model(b, net, "key_synthesis", inputs, ("picture", "features"))


def _second_mean(net: Intra, b: Builder, mean: str, told: str, symbols: str) -> str:
    """Means of the odd cells with the even ones known."""
    even = b.add("Mul", [b.add("Add", [mean, symbols], "even_y"), "first"], "even_only")
    joined = b.add("Concat", [even, mean, told], "seen_all", axis=1)
    kernel = weight_of(net.mean_in).copy()
    kernel[:, : 2 * net.prior.shape.latent] *= 0.25
    x = b.conv(joined, kernel, bias_of(net.mean_in), "mean_in")
    x = b.layer(b.blocks(x, net.mean_blocks, "mean_blocks"), net.mean_out, "mean_2")
    odd = b.add("Sub", [b.constant("one", 1.0), "first"], "odd")
    return b.add("Add", [mean, b.add("Mul", [x, odd], "mean_odd")], "mean_all")


# -- deltas ---------------------------------------------------------------------------------------


def _delta_context(net: Predict, b: Builder) -> onnx.ModelProto:
    parts = [b.cast(x, TensorProto.FLOAT, f"{x}_f") for x in ("prediction", "moved")]
    kernel, bias = _raw(weight_of(net.enter), bias_of(net.enter))
    x = b.conv(b.add("Concat", parts, "before", axis=1), kernel, bias, "enter")
    x = b.blocks(x, net.context, "context_blocks")
    gain = b.doubled(b.gains("cells", net.context_gain, "context_gain"), "context_gain_2")
    b.add("Mul", [x, gain], "context")
    b.add("Relu", [b.layer("context", net.mean_context, "mean_context", stride=2)], "seen")
    inputs = ("prediction", "moved", "cells")
    return _model(b, net, "delta_context", inputs, ("context", "seen"))


def _delta_analysis(net: Predict, b: Builder) -> onnx.ModelProto:
    new, old = (b.cast(x, TensorProto.FLOAT, f"{x}_f") for x in ("picture", "prediction"))
    change = b.add("Sub", [new, old], "change")
    kernel = weight_of(net.stem).copy()
    kernel[:, :PACKED] /= GREY
    joined = b.add("Concat", [change, "context"], "change_context", axis=1)
    x = b.conv(joined, kernel, bias_of(net.stem), "stem")
    y = b.layer(b.blocks(x, net.analysis, "analysis"), net.down, "down", stride=2)
    y = b.add("Mul", [y, b.gains("cells", net.prior.encode_gain, "encode_gain")], "y")
    z = b.hyper(y, net.prior)
    b.cast(z, TensorProto.INT8, "hyper")
    b.add("Sub", [y, _mean(net, b, z, y)], "residual")
    inputs = ("picture", "prediction", "context", "seen", "cells")
    return _model(b, net, "delta_analysis", inputs, ("hyper", "residual"))


def _delta_synthesis(net: Predict, b: Builder) -> onnx.ModelProto:
    z = b.cast("hyper", TensorProto.FLOAT, "z")
    symbols = b.cast("latent", TensorProto.FLOAT, "symbols")
    y = b.add("Add", [_mean(net, b, z, symbols), symbols], "y")
    y = b.add("Mul", [y, b.gains("cells", net.prior.decode_gain, "decode_gain")], "y_scaled")
    x = b.shuffle(b.layer(y, net.up, "up"), "up_s")
    x = b.layer(b.add("Concat", [x, "context"], "up_context", axis=1), net.join, "join")
    trunk = b.blocks(x, net.synthesis, "synthesis")
    b.features(trunk, FEATURE_REACH, FEATURE_STEPS)
    tune = b.doubled(b.gains("cells", net.tune, "tune"), "tune_2")
    x = b.blocks(b.add("Mul", [trunk, tune], "tuned"), net.refine, "refine")
    kernel = weight_of(net.head) * np.float32(GREY)
    change = b.conv(x, kernel, bias_of(net.head) * np.float32(GREY), "head")
    change = b.add("Mul", [change, _live(b, symbols)], "change")
    b.picture(
        b.add("Add", [b.cast("prediction", TensorProto.FLOAT, "prediction_f"), change], "sum")
    )
    inputs = ("prediction", "context", "seen", "hyper", "latent", "cells")
    return _model(b, net, "delta_synthesis", inputs, ("picture", "features"))


def _mean(net: Predict, b: Builder, z: str, like: str) -> str:
    told = b.told(z, net.prior, like)
    x = b.layer(b.add("Concat", ["seen", told], "seen_told", axis=1), net.mean_in, "mean_in")
    return b.layer(b.add("Relu", [x], "mean_in_r"), net.mean, "mean")


def _live(b: Builder, symbols: str) -> str:
    """1 where a 16×16 cell has a symbol other than zero, at twice its sides."""
    most = b.add("ReduceMax", [b.add("Abs", [symbols], "sizes")], "most", axes=[1], keepdims=1)
    return b.doubled(b.clipped(most, 0.0, 1.0, "live"), "live_2")


def _raw(kernel: Array, bias: Array) -> tuple[Array, Array]:
    """Weights over a picture and features, for samples 0..255 and steps of 1/16."""
    own = kernel.copy()
    own[:, :PACKED] /= GREY
    own[:, PACKED:] /= FEATURE_STEPS
    return own, bias - 0.5 * kernel[:, :PACKED].sum((1, 2, 3))
