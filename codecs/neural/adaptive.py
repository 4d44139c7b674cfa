"""Adaptive quantization without side information: from the prediction, in integers.

Flat cells get finer steps and busy ones coarser, as in x264's ``aq-mode 1`` (one QP for each
1.04 * (log2 of the variance - 6.43)), but measured on the prediction, which both ends have.  A
prediction that differs by a grey level at the receiver moves the offset by next to nothing: the
scale is fine and continuous, so drift stays drift.
"""

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from auralink.codecs.frame import Plane

Offsets: TypeAlias = npt.NDArray[np.int16]  # (height / 16, width / 16), in 1/1024 of quality

UNIT: Final = 1024  # offsets per unit of quality
CELL: Final = 16
STRENGTHS: Final = 4  # strength is 0..3 quarters; 2 is the usual one

_CENTRE: Final = 1646  # 6.43, in 1/256
_SLOPE: Final = 57  # 1.04 * 0.0535 quality per QP, in 1/1024, for one quarter of strength
_MOST: Final = 307  # 0.3 of quality
# log2(1 + i / 256) * 256, rounded: made with integers so that no libm has a say.
_LOG: Final = np.array([(((256 + i) ** 256).bit_length() - 1) - 2048 for i in range(256)], np.int32)


def offsets(prediction: Plane, strength: int) -> Offsets:
    """Quality offset of each 16×16 cell of a luma plane.

    Args:
        prediction: ``uint8 (height, width)``, multiples of 16.
        strength: 0 (all zero) to 3, in quarters.
    """
    rows, columns = (side // CELL for side in prediction.shape)
    if strength == 0:
        return np.zeros((rows, columns), np.int16)
    cells = prediction.reshape(rows, CELL, columns, CELL).astype(np.int64)
    total, square = cells.sum((1, 3)), (cells * cells).sum((1, 3))
    spread = np.maximum(CELL * CELL * square - total * total, 256)  # variance * 65536
    # Exact: a double holds every integer of this size, and frexp only reads its exponent.
    mantissa, exponent = np.frexp(spread.astype(np.float64))
    top = (mantissa * 512).astype(np.int64) - 256  # eight bits after the leading one
    log = (exponent - 1 - 16) * 256 + _LOG[top]  # of the variance, in 1/256
    step = -(strength * (log - _CENTRE) * _SLOPE) >> 10
    clipped: Offsets = np.clip(step, -_MOST, _MOST).astype(np.int16)
    return clipped
