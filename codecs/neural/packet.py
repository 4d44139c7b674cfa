"""One packet's payload: a coset of a tile, decodable alone.

::

    byte 0     bits 7-6  packets per tile: 0 one, 1 two, 2 four
               bits 5-4  which of them this is
               bits 3-2  strength of adaptive quantization, in quarters
               bit  1    key
               bit  0    a tile follows; otherwise the packet is about the whole frame
    byte 1     quality, 0..255
    [4 bytes   top, left, rows, columns of the tile, in 64×64 blocks]
    then       one rANS stream: z of the tile, vectors (not in keys), symbols of y
"""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from auralink.codecs.errors import BitstreamError
from auralink.codecs.neural import latent as latent_code
from auralink.codecs.neural import motion_code, rans
from auralink.codecs.neural.latent import Hyper, Latent
from auralink.codecs.neural.model import BUCKETS, LARGEST_HYPER, Model
from auralink.codecs.neural.motion import Vectors
from auralink.codecs.neural.rans import Reader
from auralink.codecs.neural.tiles import Grid, Tile

QUALITIES: Final = 256
_COSETS: Final = (1, 2, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds for a whole frame."""

    intra: bool
    quality: int  # 0..255
    strength: int  # 0..3


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Symbols of a tile; after reading, those of one coset with the rest zero."""

    tile: Tile
    hyper: Hyper = field(repr=False)
    vectors: Vectors = field(repr=False)  # all zero in keys
    latent: Latent = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A parsed packet."""

    settings: Settings
    cosets: int
    coset: int
    part: Part


def write_tile(
    model: Model, grid: Grid, settings: Settings, part: Part, cosets: int
) -> tuple[list[bytes], Part]:
    """The payloads of a tile, one per coset, and the part as decoders will see it."""
    index, kept = latent_code.prepare(model, settings.intra, part.hyper, part.latent, cosets)
    hyper = _hyper_slots(model, settings, part.hyper)
    payloads = []
    for coset in range(cosets):
        slots = [hyper]
        if not settings.intra:
            slots.append(motion_code.write(model, part.vectors, cosets, coset))
        slots.append(latent_code.write(model, settings.intra, index, kept, cosets, coset))
        header = _header(settings, cosets, coset, part.tile, grid)
        payloads.append(header + rans.encode(np.concatenate(slots)))
    return payloads, replace(part, latent=kept)


def read(model: Model, grid: Grid, payload: bytes) -> Content:
    """
    Raises:
        BitstreamError: these bytes are no payload of such a frame.
    """
    settings, cosets, coset, tile, start = _parse_header(payload, grid)
    reader = Reader(payload[start:])
    rows, columns = grid.size_of(tile)
    hyper = _read_hyper(model, settings, reader, tile)
    vectors = np.zeros((2 * rows, 2 * columns, 2), np.int16)
    if not settings.intra:
        vectors = motion_code.read(model, reader, rows, columns, cosets, coset)
    latent = latent_code.read(model, settings.intra, reader, hyper, rows, columns, cosets, coset)
    reader.finish()
    part = Part(tile=tile, hyper=hyper, vectors=vectors, latent=latent)
    return Content(settings=settings, cosets=cosets, coset=coset, part=part)


def _header(settings: Settings, cosets: int, coset: int, tile: Tile, grid: Grid) -> bytes:
    whole = tile == grid.whole
    first = _COSETS.index(cosets) << 6 | coset << 4 | settings.strength << 2
    first |= settings.intra << 1 | (not whole)
    header = bytes((first, settings.quality))
    return header if whole else header + bytes((tile.top, tile.left, tile.rows, tile.columns))


def _parse_header(payload: bytes, grid: Grid) -> tuple[Settings, int, int, Tile, int]:
    start = 6 if payload and payload[0] & 1 else 2
    if len(payload) < start:
        raise BitstreamError("payload ends inside its header")
    first = payload[0]
    if first >> 6 == len(_COSETS):
        raise BitstreamError("a tile in eight packets")
    cosets, coset = _COSETS[first >> 6], first >> 4 & 3
    tile = Tile(*payload[2:6]) if first & 1 else grid.whole
    if coset >= cosets:
        raise BitstreamError(f"packet {coset} of {cosets}")
    inside = tile.top + tile.rows <= grid.block_rows
    inside = inside and tile.left + tile.columns <= grid.block_columns
    if not (inside and tile.rows and tile.columns):
        raise BitstreamError(f"{tile} is not inside the frame")
    settings = Settings(intra=bool(first & 2), quality=payload[1], strength=first >> 2 & 3)
    return settings, cosets, coset, tile, start


def _rows(model: Model, settings: Settings, blocks: int) -> np.ndarray:
    """Rows of the z tables, channel by channel."""
    bucket = settings.quality * BUCKETS // QUALITIES
    channels = model.hyper_channels
    return np.repeat(bucket * channels + np.arange(channels), blocks)


def _hyper_slots(model: Model, settings: Settings, hyper: Hyper) -> rans.Slots:
    table = model.kind(settings.intra).hyper
    rows = _rows(model, settings, hyper[0].size)
    symbols = hyper.reshape(-1).astype(np.int64) + LARGEST_HYPER
    start, end = table[rows, symbols], table[rows, symbols + 1]
    return np.stack([start, end - start], 1)


def _read_hyper(model: Model, settings: Settings, reader: Reader, tile: Tile) -> Hyper:
    rows = _rows(model, settings, tile.rows * tile.columns)
    symbols = reader.symbols(model.kind(settings.intra).hyper, rows) - LARGEST_HYPER
    return symbols.astype(np.int8).reshape(-1, tile.rows, tile.columns)
