"""Motion compensation in integers: the same prediction on every machine.

Vectors are ``int16 (height / 8, width / 8, 2)``, x then y, in quarter luma samples; one for each
8×8 luma block.  Luma takes 8×8 blocks and chroma 4×4, both through the eight-tap filters of VP9
(Grange, de Rivaz, Hunt: "VP9 bitstream specification", 8.5.2.3; "regular").  Both passes are kept
exact and rounded once.  Samples outside the picture repeat its border.

The features of the learned codec, one vector of channels for each 8×8 block, follow the same
vectors by bilinear interpolation in 1/32 of a block.
"""

from typing import Any, Final, TypeAlias

import numba
import numpy as np
import numpy.typing as npt

from auralink.codecs.frame import Plane

Vectors: TypeAlias = npt.NDArray[np.int16]  # (height / 8, width / 8, 2)
Features: TypeAlias = npt.NDArray[np.int8]  # (channels, height / 8, width / 8)

BLOCK: Final = 8
MAX_VECTOR: Final = 252  # quarter samples, 63 pixels

TAPS: Final = np.array(
    [
        [0, 0, 0, 128, 0, 0, 0, 0],
        [-1, 3, -10, 122, 18, -6, 2, 0],
        [-1, 4, -16, 112, 37, -11, 4, -1],
        [-1, 5, -19, 97, 58, -16, 5, -1],
        [-1, 6, -19, 78, 78, -19, 6, -1],
        [-1, 5, -16, 58, 97, -19, 5, -1],
        [-1, 4, -11, 37, 112, -16, 4, -1],
        [0, 2, -6, 18, 122, -10, 3, -1],
    ],
    np.int32,
)
_SHIFT: Final = 14  # two passes of seven bits


def predict(reference: Plane, vectors: Vectors, block: int) -> Plane:
    """Move a plane by its vectors.

    Args:
        reference: ``uint8 (rows * block, columns * block)``.
        vectors: ``int16 (rows, columns, 2)``.
        block: 8 for luma, 4 for chroma at half the size.
    """
    out = np.empty_like(reference)
    # An eighth of a chroma sample is a quarter of a luma sample.
    _predict(reference, vectors, block, 2 if block == BLOCK else 1, out)
    return out


def predict_adjoint(gradient: npt.NDArray[np.float32], vectors: Vectors, block: int) -> Any:
    """The transpose of `predict` without its rounding: for training through the prediction."""
    out = np.zeros_like(gradient)
    _predict_adjoint(gradient, vectors, block, 2 if block == BLOCK else 1, out)
    return out


def move_features(features: Features, vectors: Vectors) -> Features:
    """Move features by their blocks' vectors; halves round up."""
    if not vectors.any():
        return features
    out = np.empty_like(features)
    _move_features(features, vectors, out)
    return out


def move_features_adjoint(gradient: npt.NDArray[np.float32], vectors: Vectors) -> Any:
    """The transpose of `move_features` without its rounding."""
    if not vectors.any():
        return gradient
    out = np.zeros_like(gradient)
    _move_features_adjoint(gradient, vectors, out)
    return out


@numba.njit(cache=True, nogil=True)
def _predict(reference, vectors, block, step, out):  # type: ignore[no-untyped-def]
    height, width = reference.shape
    patch = np.empty((15, 15), np.int32)
    rows = np.empty((15, 8), np.int32)
    for i in range(height // block):
        for j in range(width // block):
            x, y = vectors[i, j, 0] * step, vectors[i, j, 1] * step
            left, top = (x >> 3) + j * block, (y >> 3) + i * block
            fx, fy = x & 7, y & 7
            inside = left >= 3 and top >= 3 and left + block + 4 <= width
            inside = inside and top + block + 4 <= height
            if inside and fx == 0 and fy == 0:
                for a in range(block):
                    for b in range(block):
                        out[i * block + a, j * block + b] = reference[top + a, left + b]
                continue
            for a in range(block + 7):
                row = min(max(top + a - 3, 0), height - 1)
                if inside:
                    for b in range(block + 7):
                        patch[a, b] = reference[row, left + b - 3]
                else:
                    for b in range(block + 7):
                        patch[a, b] = reference[row, min(max(left + b - 3, 0), width - 1)]
            for a in range(block + 7):
                for b in range(block):
                    total = np.int32(0)
                    for k in range(8):
                        total += TAPS[fx, k] * patch[a, b + k]
                    rows[a, b] = total
            for a in range(block):
                for b in range(block):
                    total = np.int32(1 << (_SHIFT - 1))
                    for k in range(8):
                        total += TAPS[fy, k] * rows[a + k, b]
                    out[i * block + a, j * block + b] = min(max(total >> _SHIFT, 0), 255)


@numba.njit(cache=True, nogil=True)
def _predict_adjoint(gradient, vectors, block, step, out):  # type: ignore[no-untyped-def]
    height, width = gradient.shape
    patch = np.empty((15, 15), np.float32)
    rows = np.empty((15, 8), np.float32)
    for i in range(height // block):
        for j in range(width // block):
            x, y = vectors[i, j, 0] * step, vectors[i, j, 1] * step
            left, top = (x >> 3) + j * block, (y >> 3) + i * block
            fx, fy = x & 7, y & 7
            rows[:] = 0
            patch[:] = 0
            for a in range(block):
                for k in range(8):
                    weight = np.float32(TAPS[fy, k] / 128)
                    for b in range(block):
                        rows[a + k, b] += weight * gradient[i * block + a, j * block + b]
            for a in range(block + 7):
                for k in range(8):
                    weight = np.float32(TAPS[fx, k] / 128)
                    for b in range(block):
                        patch[a, b + k] += weight * rows[a, b]
            for a in range(block + 7):
                row = min(max(top + a - 3, 0), height - 1)
                for b in range(block + 7):
                    out[row, min(max(left + b - 3, 0), width - 1)] += patch[a, b]


@numba.njit(cache=True, nogil=True)
def _corner(vector, at, size):  # type: ignore[no-untyped-def]
    """First sample, the next one, and the weight of the next in 1/32, along one axis."""
    place = at * 32 + vector
    first = place >> 5
    return min(max(first, 0), size - 1), min(max(first + 1, 0), size - 1), place & 31


@numba.njit(cache=True, nogil=True)
def _move_features(features, vectors, out):  # type: ignore[no-untyped-def]
    channels, rows, columns = features.shape
    for i in range(rows):
        for j in range(columns):
            x0, x1, fx = _corner(vectors[i, j, 0], j, columns)
            y0, y1, fy = _corner(vectors[i, j, 1], i, rows)
            for c in range(channels):
                upper = features[c, y0, x0] * (32 - fx) + features[c, y0, x1] * fx
                lower = features[c, y1, x0] * (32 - fx) + features[c, y1, x1] * fx
                out[c, i, j] = (upper * (32 - fy) + lower * fy + 512) >> 10


@numba.njit(cache=True, nogil=True)
def _move_features_adjoint(gradient, vectors, out):  # type: ignore[no-untyped-def]
    channels, rows, columns = gradient.shape
    for i in range(rows):
        for j in range(columns):
            x0, x1, fx = _corner(vectors[i, j, 0], j, columns)
            y0, y1, fy = _corner(vectors[i, j, 1], i, rows)
            wx, wy = np.float32(fx / 32), np.float32(fy / 32)
            for c in range(channels):
                upper, lower = gradient[c, i, j] * (1 - wy), gradient[c, i, j] * wy
                out[c, y0, x0] += upper * (1 - wx)
                out[c, y0, x1] += upper * wx
                out[c, y1, x0] += lower * (1 - wx)
                out[c, y1, x1] += lower * wx
