"""Golden vectors: a short clip, and what a network must make of it frame by frame.

An ``.npz`` of ``base uint8 (frames, h, w)``, ``side float32 (frames, 3)`` with quantizer, scale and
reference (0 or 1), and for each precision ``<precision>_output uint8 (frames, h, w)`` and
``<precision>_hidden float32``, the state after the last frame.  The network runs on its own outputs
from the first frame on, so the last one depends on all before.
"""

import io
import zipfile
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from auralink.codecs.video.protocol import Networks
from auralink.models.errors import DamagedModel, ModelError, WrongModel
from auralink.models.manifest import Entry, Precision
from auralink.models.runtime import OnnxNetworks
from auralink.models.store import read_checked


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Inputs of a network over a few frames."""

    base: npt.NDArray[np.uint8] = field(repr=False)
    side: npt.NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    output: npt.NDArray[np.uint8] = field(repr=False)
    hidden: npt.NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenVectors:
    clip: Clip
    expected: Expected


def read_golden(entry: Entry) -> GoldenVectors:
    """Of an entry, checked against the manifest's hash.

    Raises:
        DamagedModel: missing, other bytes, or an array is missing or of another type.
    """
    content = read_checked(entry.golden_path, entry.golden.sha256)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return GoldenVectors(
                clip=Clip(base=arrays["base"], side=arrays["side"]),
                expected=Expected(
                    output=arrays[f"{entry.precision}_output"],
                    hidden=arrays[f"{entry.precision}_hidden"],
                ),
            )
    except (KeyError, ValueError, zipfile.BadZipFile) as exc:
        raise DamagedModel(f"{entry.golden.file}: {exc}") from exc


def run_clip(networks: Networks, clip: Clip) -> Expected:
    """Restore the clip from its first frame, which counts as a key unit.

    Raises:
        ModelError: a frame was refused.
    """
    outputs: list[npt.NDArray[np.uint8]] = []
    hidden = None
    for index, (base, side) in enumerate(zip(clip.base, clip.side, strict=True)):
        made = networks.restore(
            base,
            outputs[-1] if outputs else base,
            hidden,
            quantizer=int(side[0]),
            scale=float(side[1]),
            reference=bool(side[2]),
        )
        if made is None:
            raise WrongModel(f"frame {index} was refused{_causes(networks)}")
        outputs.append(made.luma)
        hidden = made.hidden
    if hidden is None:
        raise ModelError("an empty clip proves nothing")
    return Expected(output=np.stack(outputs), hidden=hidden)


def _causes(networks: Networks) -> str:
    if not isinstance(networks, OnnxNetworks):
        return ""
    causes = ", ".join(fault.value for fault in networks.faults)
    return f": {causes} {networks.fault}".rstrip()


def pack(clip: Clip, expected: dict[Precision, Expected]) -> bytes:
    """The file's content."""
    arrays: dict[str, npt.NDArray[np.generic]] = {"base": clip.base, "side": clip.side}
    for precision, made in expected.items():
        arrays[f"{precision}_output"] = made.output
        arrays[f"{precision}_hidden"] = made.hidden
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
