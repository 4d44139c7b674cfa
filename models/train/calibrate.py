"""How large the activations of a network get on training clips, for its 8-bit graph."""

import random
from collections import defaultdict

import numpy as np
import onnx
import onnxruntime as ort

from auralink.models.train.data import Entry
from auralink.models.train.sampler import Material, side_of

CODINGS = 24
FRAMES = 6
# The few values beyond are clamped: a coarser step everywhere would cost more.
QUANTILE = 0.9999


def activation_ranges(
    model: onnx.ModelProto, names: list[str], material: Material
) -> dict[str, float]:
    """Largest magnitude of each named activation of the float graph."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = ort.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    largest: dict[str, list[float]] = defaultdict(list)
    for entry, row in _codings(material):
        for values in _run(session, material, entry, row):
            for name, value in zip(names, values, strict=True):
                largest[name].append(float(np.quantile(np.abs(value), QUANTILE)))
    return {name: max(found) for name, found in largest.items()}


def _codings(material: Material) -> list[tuple[Entry, int]]:
    every = [(entry, row) for entry in material.training() for row in range(len(entry.codings))]
    return random.Random(0).sample(every, min(CODINGS, len(every)))


def _run(
    session: ort.InferenceSession, material: Material, entry: Entry, row: int
) -> list[list[np.ndarray]]:
    clip = material.clip(entry.name)[row + 1]
    output, hidden, found = None, None, []
    for at in range(min(entry.frames, FRAMES)):
        base = np.ascontiguousarray(clip[at])[None, None]
        if hidden is None:
            channels = session.get_inputs()[2].shape[1]
            hidden = np.zeros((1, channels, entry.height // 4, entry.width // 4), np.float32)
        feeds = {
            "current": base,
            "previous_output": base if output is None else output,
            "hidden": hidden,
            "side": np.array([side_of(entry.codings[row], at)], np.float32),
        }
        output, hidden, *values = session.run(None, feeds)
        found.append(values)
    return found
