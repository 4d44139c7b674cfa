"""Adaptive quantization without side information: from the prediction, in integers.

Flat cells get finer steps and busy ones coarser, as in x264's ``aq-mode 1`` (one QP for each
1.04 * (log2 of the variance - 6.43)), but measured on the prediction, which both ends have.  A
prediction that differs by a grey level at the receiver moves the offset by next to nothing: the
scale is fine and continuous, so drift stays drift.
"""

from typing import Final, TypeAlias

import numba
import numpy as np
import numpy.typing as npt

from auralink.codecs.frame import Plane

Offsets: TypeAlias = npt.NDArray[np.int16]  # (height / 16, width / 16), in 1/1024 of quality

UNIT: Final = 1024  # offsets per unit of quality
CELL: Final = 16
STRENGTHS: Final = 4  # strength is 0..3 quarters

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
    found = np.empty((rows, columns), np.int16)
    _offsets(prediction, strength, _LOG, found)
    return found


@numba.njit(cache=True, nogil=True)
def _offsets(prediction, strength, logs, found):  # type: ignore[no-untyped-def]
    rows, columns = found.shape
    for i in range(rows):
        for j in range(columns):
            total, square = np.int64(0), np.int64(0)
            for a in range(CELL):
                line = prediction[i * CELL + a]
                for b in range(CELL):
                    value = np.int64(line[j * CELL + b])
                    total += value
                    square += value * value
            spread = np.int64(CELL * CELL * square - total * total)  # variance * 65536
            if spread < 256:
                spread = np.int64(256)
            bits = 0
            while spread >> (bits + 1):
                bits += 1
            top = (spread << 8 >> bits) - 256  # eight bits after the leading one
            log = (bits - 16) * 256 + logs[top]  # of the variance, in 1/256
            step = -(strength * (log - _CENTRE) * _SLOPE) >> 10
            found[i, j] = min(max(step, -_MOST), _MOST)
