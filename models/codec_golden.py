"""Golden vectors of a learned codec: a short stream, and the pictures that come of it.

An ``.npz`` of ``size`` (width, height), ``payloads uint8``, one after the other, ``lengths`` and
``frames`` (length of each, and the frame that it belongs to), and for each precision
``<precision>_y``, ``_u`` and ``_v``, ``uint8 (frames, h, w)``: what decoding gives, frame by frame,
each predicted from the one before.  Reading the payloads at all proves the tables; the pictures
prove the networks.
"""

import io
import zipfile
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from auralink.codecs.errors import BitstreamError
from auralink.codecs.neural import picture_code
from auralink.codecs.neural.networks import NeuralNetworks
from auralink.codecs.neural.packing import Planes, grid_of
from auralink.models.codec_manifest import CodecEntry
from auralink.models.errors import DamagedModel, ModelError
from auralink.models.manifest import Precision
from auralink.models.store import read_checked

Planar = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenStream:
    width: int
    height: int
    frames: tuple[tuple[bytes, ...], ...] = field(repr=False)  # payloads of each


def read_stream(entry: CodecEntry) -> tuple[GoldenStream, Planar]:
    """The stream, and the pictures that this precision makes of it.

    Raises:
        DamagedModel: missing, other bytes, or an array is missing or of another type.
    """
    content = read_checked(entry.golden_path, entry.golden.sha256)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            width, height = arrays["size"].tolist()
            cuts = np.cumsum(arrays["lengths"])[:-1]
            payloads = [part.tobytes() for part in np.split(arrays["payloads"], cuts)]
            owners = arrays["frames"]
            frames = tuple(
                tuple(p for p, owner in zip(payloads, owners, strict=True) if owner == number)
                for number in range(int(owners[-1]) + 1)
            )
            y, u, v = (arrays[f"{entry.precision}_{plane}"] for plane in "yuv")
    except (KeyError, ValueError, IndexError, zipfile.BadZipFile) as exc:
        raise DamagedModel(f"{entry.golden.file}: {exc}") from exc
    return GoldenStream(width=width, height=height, frames=frames), (y, u, v)


def decode_stream(networks: NeuralNetworks, stream: GoldenStream) -> Planar:
    """
    Raises:
        ModelError: the payloads cannot be read, so the tables are not those they were made with.
    """
    grid, state, made = grid_of(stream.width, stream.height), None, list[Planes]()
    try:
        for payloads in stream.frames:
            state = picture_code.decode(networks, grid, payloads, state).state
            made.append(state.planes)
    except BitstreamError as exc:
        raise ModelError(f"frame {len(made)} cannot be read: {exc}") from exc
    y, u, v = (np.stack([getattr(planes, plane) for planes in made]) for plane in "yuv")
    return y, u, v


def pack_stream(stream: GoldenStream, expected: dict[Precision, Planar]) -> bytes:
    """The file's content."""
    payloads = [payload for frame in stream.frames for payload in frame]
    owners = [number for number, frame in enumerate(stream.frames) for _ in frame]
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "size": np.array([stream.width, stream.height], np.int32),
        "payloads": np.frombuffer(b"".join(payloads), np.uint8),
        "lengths": np.array([len(payload) for payload in payloads], np.int32),
        "frames": np.array(owners, np.int32),
    }
    for precision, planar in expected.items():
        for plane, pictures in zip("yuv", planar, strict=True):
            arrays[f"{precision}_{plane}"] = pictures
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
