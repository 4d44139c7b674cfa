"""F17: networks that compute nonsense, in real ONNX files, behind the guard and the engine."""

import random
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from auralink.bench.fault.rig import Bed, Rig, rig, until
from auralink.bench.fault.values import Fault, Trial, expect
from auralink.codecs.frame import Frame, blank
from auralink.codecs.video.protocol import Networks
from auralink.engine.inference.breaker_config import BreakerConfig
from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.inference.pool_backend import Task
from auralink.engine.inference.services import Make, RestoreOrder, RestoreService, Service
from auralink.models.runtime import OnnxNetworks
from auralink.models.store import Model, Store

_FRAMES: Final = 12
_LIMIT_S: Final = 5.0
_SIZE: Final = (96, 64)
_BREAKER: Final = BreakerConfig(least_calls=4, window_calls=8)

Spoil = Callable[[onnx.GraphProto], None]


def spoiled(spoil: Spoil) -> bytes:
    """The bundled network with something between it and its outputs."""
    model = onnx.load_from_string(Store.bundled().load("restore-s", "fp32").content)
    spoil(model.graph)
    content: bytes = model.SerializeToString()
    return content


class Nonsense:
    """Makes a `RestoreService` on a spoiled network, in the worker."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __call__(self, networks: Networks) -> Service:
        del networks
        entry = Store.bundled().find("restore-s", "fp32")
        return RestoreService(OnnxNetworks(Model(entry=entry, content=self._content)))


def _between(graph: onnx.GraphProto, port: str, *steps: onnx.NodeProto) -> None:
    """Let a port be computed by `steps` from what it was, which they know as ``raw``."""
    for node in graph.node:
        for at, name in enumerate(node.output):
            if name == port:
                node.output[at] = "raw"
        for at, name in enumerate(node.input):
            if name == port:
                node.input[at] = "raw"
    graph.node.extend(steps)


def _constant(name: str, value: object, kind: int) -> onnx.NodeProto:
    array = np.asarray(value, np.float32 if kind == TensorProto.FLOAT else np.uint8)
    return helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(array, name))


def _state(operator: str, value: float) -> Spoil:
    return lambda graph: _between(
        graph,
        "next_hidden",
        _constant("by", value, TensorProto.FLOAT),
        helper.make_node(operator, ["raw", "by"], ["next_hidden"]),
    )


def _silent(graph: onnx.GraphProto) -> None:
    _between(graph, "output", helper.make_node("Sub", ["raw", "raw"], ["output"]))


def _inverted(graph: onnx.GraphProto) -> None:
    _between(
        graph,
        "output",
        _constant("white", 255, TensorProto.UINT8),
        helper.make_node("Sub", ["white", "raw"], ["output"]),
    )


def _frozen(graph: onnx.GraphProto) -> None:
    """The picture before, for ever; the first one is right."""
    _between(graph, "output", helper.make_node("Identity", ["previous_output"], ["output"]))


def _smaller(graph: onnx.GraphProto) -> None:
    shape = np.array([2], np.int64)
    for name, value in (("from", shape * 0), ("to", shape * 0 - 1), ("axis", shape)):
        array = onnx.numpy_helper.from_array(value[:1], name)
        graph.initializer.append(array)
    _between(graph, "output", helper.make_node("Slice", ["raw", "from", "to", "axis"], ["output"]))


SPOILS: Final[dict[str, Spoil]] = {
    "not a number": _state("Mul", float("nan")),
    "infinite": _state("Div", 0.0),
    "out of range": _state("Add", 100.0),
    "silent": _silent,
    "inverted": _inverted,
    "frozen": _frozen,
    "of another shape": _smaller,
}


def _moving(chance: random.Random, number: int) -> Frame:
    """Bright and dark by turns, so that yesterday's picture is a wrong one."""
    frame = blank(*_SIZE, number)
    y = np.full((_SIZE[1], _SIZE[0]), 60 if number % 2 else 180, np.uint8)
    y[: chance.randint(8, 40)] += 20
    return Frame(y=y, u=frame.u, v=frame.v, pts_us=number)


def _inject(rig: Rig, seed: int) -> Trial:
    chance = random.Random(seed)
    kind = sorted(SPOILS)[seed % len(SPOILS)]
    nonsense: Make = Nonsense(spoiled(SPOILS[kind]))
    models = {**rig.models, "nonsense": nonsense}
    trial: Trial = Rig(rig.pool, models).run(partial(_watched, kind, chance), breaker=_BREAKER)
    return trial


async def _watched(kind: str, chance: random.Random, bed: Bed) -> Trial:
    first = 1 if kind == "frozen" else 0  # nothing is wrong with the first one yet
    order = RestoreOrder(quantizer=190, scale=0.5, reference=True)

    def orders(number: int) -> Task:
        return Task(_moving(chance, number), order)

    async with bed.streams([orders], "nonsense", deadline_s=0.2) as (stream,):
        await until(lambda: len(stream.sent) >= _FRAMES, _LIMIT_S)
        opened = await until(lambda: bool(stream.lost(FrameOutcome.BREAKER, 0)), _LIMIT_S)
    shown = sum(one.coded for one in stream.sent)
    refused = stream.lost(FrameOutcome.INVALID, 0)
    return Trial(
        wrong=expect(
            **{f"{kind}_was_shown": shown > first * (1 + refused)},
            nothing_was_refused=not refused,
            breaker_did_not_open=opened is None,
        ),
        figures={"refused until the breaker opened": refused, "shown": shown},
    )


FAULTS: Final = (
    Fault(
        number="F17",
        name=f"output {', '.join(sorted(SPOILS))}",
        expected="the guard refuses every one, the breaker opens",
        prepare=rig,
        inject=_inject,
        trials=21,
    ),
)
