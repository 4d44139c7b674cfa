"""Step over the tile layout, which lies before the quantizer in a frame header (5.9.15)."""

from typing import Final

from auralink.codecs.av1.bits import BitReader

_MAX_TILE_WIDTH: Final = 4096
_MAX_TILE_AREA: Final = 4096 * 2304
_MAX_TILES: Final = 64  # per direction


def skip_tile_info(bits: BitReader, width: int, height: int, *, superblock_128: bool) -> None:
    size_log2 = 7 if superblock_128 else 6
    columns, rows = _superblocks(width, size_log2), _superblocks(height, size_log2)
    max_width = _MAX_TILE_WIDTH >> size_log2
    max_area = _MAX_TILE_AREA >> (2 * size_log2)
    min_columns_log2 = _log2(max_width, columns)
    min_tiles_log2 = max(min_columns_log2, _log2(max_area, rows * columns))
    if bits.flag():  # uniform_tile_spacing_flag
        columns_log2 = _raise(bits, min_columns_log2, _log2(1, min(columns, _MAX_TILES)))
        least = max(min_tiles_log2 - columns_log2, 0)
        rows_log2 = _raise(bits, least, _log2(1, min(rows, _MAX_TILES)))
    else:
        widths = _sizes(bits, columns, max_width)
        area = rows * columns >> (min_tiles_log2 + 1 if min_tiles_log2 else 0)
        heights = _sizes(bits, rows, max(area // max(widths), 1))
        columns_log2, rows_log2 = _log2(1, len(widths)), _log2(1, len(heights))
    if columns_log2 or rows_log2:
        bits.bits(columns_log2 + rows_log2)  # context_update_tile_id
        bits.bits(2)  # tile_size_bytes_minus_1


def _superblocks(samples: int, size_log2: int) -> int:
    units = 2 * ((samples + 7) >> 3)  # of 4 samples
    return (units + (1 << (size_log2 - 2)) - 1) >> (size_log2 - 2)


def _log2(size: int, target: int) -> int:
    """tile_log2(): the least k with ``size << k >= target``."""
    k = 0
    while size << k < target:
        k += 1
    return k


def _raise(bits: BitReader, value: int, limit: int) -> int:
    while value < limit and bits.flag():
        value += 1
    return value


def _sizes(bits: BitReader, total: int, limit: int) -> list[int]:
    sizes = []
    while total:
        sizes.append(bits.below(min(total, limit)) + 1)
        total -= sizes[-1]
    return sizes
