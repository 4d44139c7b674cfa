"""A frame's symbols to payloads, and whatever of them arrives back to symbols.

A frame that fits goes out in one packet.  A larger one is dealt to two or four packets, each with
every second or fourth cell; a still larger one is first cut into tiles.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from auralink.codecs.errors import BitstreamError, EncoderError
from auralink.codecs.neural import packet
from auralink.codecs.neural.latent import Hyper, Latent
from auralink.codecs.neural.model import Model
from auralink.codecs.neural.motion import Vectors
from auralink.codecs.neural.packet import Content, Part, Settings
from auralink.codecs.neural.tiles import Grid, Tile, coset_of

MAX_PAYLOAD: Final = 985  # the unit header and a configuration must fit into 1,000 bytes too


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols:
    """All that the decoder's networks are given of a frame."""

    settings: Settings
    hyper: Hyper = field(repr=False)  # (channels, block rows, block columns)
    vectors: Vectors = field(repr=False)  # (2 rows, 2 columns, 2)
    latent: Latent = field(repr=False)  # (channels, rows, columns)
    held: npt.NDArray[np.bool_] = field(repr=False)  # (rows, columns): cells that arrived


def write(model: Model, symbols: Symbols, limit: int = MAX_PAYLOAD) -> tuple[list[bytes], Symbols]:
    """Payloads of at most `limit` bytes, and the symbols as a decoder with all of them sees them.

    Raises:
        EncoderError: a single 64×64 block is too large: code it coarser.
    """
    grid = Grid(*symbols.latent.shape[1:])
    latent = symbols.latent.copy()
    payloads: list[bytes] = []
    for written, part in _tiles(model, grid, symbols, grid.whole, (1, 2, 4), limit):
        payloads += written
        latent[:, *part.tile.cells] = part.latent
    held = np.ones_like(symbols.held)
    seen = Symbols(
        settings=symbols.settings,
        hyper=symbols.hyper,
        vectors=symbols.vectors,
        latent=latent,
        held=held,
    )
    return payloads, seen


def read(model: Model, grid: Grid, payloads: Iterable[bytes]) -> Symbols:
    """Put together what arrived of a frame; cells that did not arrive are zero and not held.

    Damaged payloads are passed over, and so are those that contradict the first good one.

    Raises:
        BitstreamError: not one is good.
    """
    contents, reason = [], "nothing arrived"
    for payload in payloads:
        try:
            contents.append(packet.read(model, grid, payload))
        except BitstreamError as error:
            reason = str(error)
    if not contents:
        raise BitstreamError(reason)
    settings = contents[0].settings
    latent = np.zeros((model.latent_channels, grid.rows, grid.columns), np.int16)
    hyper = np.zeros((model.hyper_channels, grid.block_rows, grid.block_columns), np.int8)
    vectors = np.zeros((2 * grid.rows, 2 * grid.columns, 2), np.int16)
    held = np.zeros((grid.rows, grid.columns), np.bool_)
    for content in contents:
        if content.settings != settings:
            continue
        own = _own(content)
        tile, part = content.part.tile, content.part
        np.copyto(latent[:, *tile.cells], part.latent, where=own)
        own_vectors = own.repeat(2, 0).repeat(2, 1)[:, :, None]
        np.copyto(vectors[tile.vectors], part.vectors, where=own_vectors)
        hyper[:, *tile.blocks] = part.hyper
        held[tile.cells] |= own
    if not settings.intra:
        fill_vectors(vectors, held)
    return Symbols(settings=settings, hyper=hyper, vectors=vectors, latent=latent, held=held)


def fill_vectors(vectors: Vectors, held: npt.NDArray[np.bool_]) -> None:
    """Give each cell that did not arrive the median of its neighbours that did, in place."""
    if held.all():
        return
    rows, columns = held.shape
    for i, j in np.argwhere(~held):
        near = [
            vectors[2 * a + (a < i), 2 * b + (b < j)]
            for a, b in ((i, j - 1), (i, j + 1), (i - 1, j), (i + 1, j))
            if 0 <= a < rows and 0 <= b < columns and held[a, b]
        ]
        if near:
            vectors[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = np.median(near, axis=0).astype(np.int16)


def _own(content: Content) -> npt.NDArray[np.bool_]:
    _, rows, columns = content.part.latent.shape
    own: npt.NDArray[np.bool_] = coset_of(rows, columns, content.cosets) == content.coset
    return own


def _tiles(
    model: Model, grid: Grid, symbols: Symbols, tile: Tile, ways: tuple[int, ...], limit: int
) -> Iterator[tuple[list[bytes], Part]]:
    part = Part(
        tile=tile,
        hyper=symbols.hyper[:, *tile.blocks],
        vectors=symbols.vectors[tile.vectors],
        latent=symbols.latent[:, *tile.cells],
    )
    for cosets in ways:
        payloads, kept = packet.write_tile(model, grid, symbols.settings, part, cosets)
        if max(map(len, payloads)) <= limit:
            yield payloads, kept
            return
    halves = tile.halves()
    if halves is None:
        raise EncoderError(f"a 64x64 block needs {max(map(len, payloads))} bytes: code it coarser")
    for half in halves:
        # Two ways at least: a tile in one packet would be lost as a whole.
        yield from _tiles(model, grid, symbols, half, (2, 4), limit)
