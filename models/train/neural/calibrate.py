"""How large the activations of the codec's graphs get on training clips, for their 8-bit twins."""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnxruntime as ort

from auralink.codecs.neural import picture_code
from auralink.codecs.neural.packing import Planes
from auralink.models.codec_manifest import GRAPHS
from auralink.models.codec_runtime import OnnxCodec
from auralink.models.codec_store import CodecModel
from auralink.models.train.neural.sampler import Material

CLIPS, FRAMES = 14, 4
# The few values beyond are clamped: a coarser step everywhere would cost more.
QUANTILE = 0.9999

Run = Callable[[str, Mapping[str, np.ndarray]], None]


class Watched(OnnxCodec):
    """A codec that shows what goes into its graphs."""

    def __init__(self, model: CodecModel, seen: Run) -> None:
        super().__init__(model)
        self._seen = seen

    def _run(self, name, grid, feeds):  # type: ignore[no-untyped-def]
        self._seen(name, {key: np.ascontiguousarray(value) for key, value in feeds.items()})
        return super()._run(name, grid, feeds)


def ranges(
    model: CodecModel,
    graphs: Mapping[str, tuple[onnx.ModelProto, list[str]]],
    material: Material,
) -> dict[str, dict[str, float]]:
    """Largest magnitude of each named activation, by graph."""
    found: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in GRAPHS}
    sessions = {name: _watched(*graphs[name]) for name in GRAPHS}

    def seen(name: str, feeds: Mapping[str, np.ndarray]) -> None:
        names = graphs[name][1]
        for key, value in zip(names, sessions[name].run(names, dict(feeds)), strict=True):
            found[name][key].append(float(np.quantile(np.abs(value), QUANTILE)))

    codec, chance = Watched(model, seen), random.Random(0)
    clips = [entry for entry in material.training() if entry.frames > FRAMES]
    for entry in chance.sample(clips, CLIPS):
        level, frames = chance.randrange(256), material.frames(entry.name)
        state = picture_code.encode_key(codec, _planes(frames[0]), level).state
        for at in range(1, FRAMES):
            state = picture_code.encode_delta(codec, _planes(frames[at]), state, level).state
    return {
        name: {key: max(values) for key, values in by_key.items()} for name, by_key in found.items()
    }


def _watched(model: onnx.ModelProto, names: list[str]) -> ort.InferenceSession:
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return ort.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])


def _planes(joined: np.ndarray) -> Planes:
    """A picture of the material: U and V lie side by side below luma."""
    height, width = joined.shape[0] * 2 // 3, joined.shape[1]
    u, v = joined[height:, : width // 2], joined[height:, width // 2 :]
    return Planes(*(np.ascontiguousarray(plane) for plane in (joined[:height], u, v)))
