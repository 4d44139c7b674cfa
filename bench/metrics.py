"""Full-reference quality of luma: SSIM, MS-SSIM and PSNR, at native speed.

SSIM: Gaussian window 11x11, sigma 1.5, dynamic range 255, K1 = 0.01, K2 = 0.03, mean over the
positions where the window lies inside the picture.  Computed in single precision: within 5e-5 of
the exact value, and within 1e-4 for MS-SSIM.

MS-SSIM: the same statistics at five scales, each half the one before (2x2 mean), the mean
contrast-structure terms of the finer four times the mean SSIM of the coarsest, with the weights of
the paper.  Pictures whose fifth scale is smaller than the window (a side below 176) get fewer
scales with the weights renormalised; `Quality.scales` says how many.  Such figures cannot be
compared with those of five scales, but with one another they can.

Sources:
    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", 2004.  Wang, Simoncelli, Bovik, "Multiscale structural similarity for image
    quality assessment", 2003.
"""

import math
from dataclasses import dataclass
from typing import Final, TypeAlias

import numba
import numpy as np
import numpy.typing as npt

from auralink.codecs.errors import InputError
from auralink.codecs.frame import Plane

Samples: TypeAlias = npt.NDArray[np.float32]

WINDOW: Final = 11
SIGMA: Final = 1.5
SCALE_WEIGHTS: Final = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
PEAK: Final = 255.0
MAX_PSNR: Final = 60.0  # of equal pictures, and of what differs less than that

_C1: Final = np.float32((0.01 * PEAK) ** 2)
_C2: Final = np.float32((0.03 * PEAK) ** 2)
# Samples are taken relative to mid-grey: variances keep more of a float's digits that way.
_PIVOT: Final = np.float32(128.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How near a picture is to its original."""

    ssim: float
    ms_ssim: float
    psnr: float  # dB, at most MAX_PSNR
    scales: int  # of MS-SSIM


def measure(reference: Plane, decoded: Plane) -> Quality:
    """All three metrics of one luma plane, ``uint8 (height, width)``.

    Raises:
        InputError: the sizes differ, or a side is smaller than the window.
    """
    _check(reference, decoded)
    a, b = _centred(reference), _centred(decoded)
    scales = scales_of(*reference.shape)
    similarity, contrast = _means(a, b, _KERNEL)
    first = similarity
    product, weights = 1.0, SCALE_WEIGHTS[:scales]
    for scale, weight in enumerate(weights):
        if scale:
            a, b = _halved(a), _halved(b)
            similarity, contrast = _means(a, b, _KERNEL)
        last = scale == scales - 1
        product *= max(similarity if last else contrast, 0.0) ** (weight / sum(weights))
    return Quality(
        ssim=min(first, 1.0),  # rounding may reach a little beyond
        ms_ssim=min(product, 1.0),
        psnr=psnr(reference, decoded),
        scales=scales,
    )


def ssim(reference: Plane, decoded: Plane) -> float:
    """SSIM of one luma plane alone."""
    _check(reference, decoded)
    return min(float(_means(_centred(reference), _centred(decoded), _KERNEL)[0]), 1.0)


def psnr(reference: Plane, decoded: Plane) -> float:
    """Peak signal-to-noise ratio in dB, bounded by `MAX_PSNR`."""
    error = _squared_error(reference, decoded) / reference.size
    return min(MAX_PSNR, 10 * math.log10(PEAK**2 / error)) if error else MAX_PSNR


def scales_of(height: int, width: int) -> int:
    """How many scales of MS-SSIM a picture of that size has room for."""
    smaller = min(height, width)
    return max(1, sum(smaller >> scale >= WINDOW for scale in range(len(SCALE_WEIGHTS))))


def _check(reference: Plane, decoded: Plane) -> None:
    if reference.shape != decoded.shape:
        raise InputError(f"pictures of {reference.shape} and {decoded.shape} cannot be compared")
    if min(reference.shape) < WINDOW:
        raise InputError(f"SSIM needs {WINDOW} samples each way, got {reference.shape}")


def _centred(plane: Plane) -> Samples:
    samples: Samples = plane.astype(np.float32) - _PIVOT
    return samples


def _gaussian() -> Samples:
    position = np.arange(WINDOW, dtype=np.float64) - WINDOW // 2
    weights = np.exp(-(position**2) / (2 * SIGMA**2))
    kernel: Samples = (weights / weights.sum()).astype(np.float32)
    return kernel


_KERNEL: Final = _gaussian()


@numba.njit(cache=True, fastmath=True, nogil=True)
def _means(a: Samples, b: Samples, kernel: Samples) -> tuple[float, float]:
    """Mean SSIM and mean contrast-structure term over the valid region."""
    height, width = a.shape
    columns = np.empty((4, width), np.float32)  # of a, b, aa + bb, ab: filtered downwards
    rows, cols = height - WINDOW + 1, width - WINDOW + 1
    sums = np.empty((4, cols), np.float32)  # filtered both ways
    total_similarity, total_contrast = 0.0, 0.0
    for y in range(rows):
        columns[:] = np.float32(0)
        for k in range(WINDOW):
            weight, row_a, row_b = kernel[k], a[y + k], b[y + k]
            for x in range(width):
                p, q = row_a[x], row_b[x]
                wp, wq = weight * p, weight * q
                columns[0, x] += wp
                columns[1, x] += wq
                columns[2, x] += wp * p + wq * q
                columns[3, x] += wp * q
        for i in range(4):
            line, column = sums[i], columns[i]
            line[:] = np.float32(0)
            for k in range(WINDOW):
                weight = kernel[k]
                for x in range(cols):
                    line[x] += weight * column[x + k]
        similarity, contrast = np.float32(0), np.float32(0)
        for x in range(cols):
            mean_a, mean_b = sums[0, x], sums[1, x]
            product, squares = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
            structure = (np.float32(2) * (sums[3, x] - product) + _C2) / (
                sums[2, x] - squares + _C2
            )
            grey_a, grey_b = mean_a + _PIVOT, mean_b + _PIVOT
            luminance = (np.float32(2) * grey_a * grey_b + _C1) / (
                grey_a * grey_a + grey_b * grey_b + _C1
            )
            contrast += structure
            similarity += structure * luminance
        total_similarity += float(similarity)
        total_contrast += float(contrast)
    area = rows * cols
    return total_similarity / area, total_contrast / area


@numba.njit(cache=True, fastmath=True, nogil=True)
def _halved(samples: Samples) -> Samples:
    """Mean of each 2x2 block; an odd last row or column is left out."""
    height, width = samples.shape[0] // 2, samples.shape[1] // 2
    halved = np.empty((height, width), np.float32)
    for y in range(height):
        above, below, line = samples[2 * y], samples[2 * y + 1], halved[y]
        for x in range(width):
            left, right = above[2 * x] + below[2 * x], above[2 * x + 1] + below[2 * x + 1]
            line[x] = np.float32(0.25) * (left + right)
    return halved


@numba.njit(cache=True, nogil=True)
def _squared_error(a: Plane, b: Plane) -> int:
    total = 0
    for y in range(a.shape[0]):
        line = np.int32(0)  # 4096 samples of at most 65025 each fit
        for x in range(a.shape[1]):
            difference = np.int32(a[y, x]) - np.int32(b[y, x])
            line += difference * difference
        total += int(line)
    return total
