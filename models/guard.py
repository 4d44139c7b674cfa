"""Judges what a network made before anyone sees it.

A network that went wrong (damaged state, an operator that another machine computes otherwise, a
picture unlike any it was trained on) must cost sharpness, not the picture: the caller falls back to
the plain upscaled one.
"""

import enum

import numpy as np
import numpy.typing as npt

from auralink.codecs.frame import Plane
from auralink.models.manifest import TensorSpec

# Restoring moves a picture by 1 to 3 grey levels on average; eight times that is no restoration.
MAX_MEAN_DIFFERENCE = 24.0


class Fault(enum.Enum):
    """Why a picture was refused, or not made."""

    NO_MODEL = "no_model"  # unknown id, or its file was refused
    INPUT = "input"  # the caller's planes or state do not fit together
    RUNTIME = "runtime"  # ONNX Runtime failed
    LATE = "late"  # it took longer than it may, and was ended
    SHAPE = "shape"  # other shapes or types than promised
    RANGE = "range"  # NaN, infinite, or outside the promised range
    FAR = "far"  # too far from the base picture
    FROZEN = "frozen"  # the same again and again, while what goes in moves
    SILENT = "silent"  # no sound, while what goes in is heard


def judge(
    base: Plane,
    luma: npt.NDArray[np.generic],
    hidden: npt.NDArray[np.generic],
    *,
    state_shape: tuple[int, ...],
    state: TensorSpec,
) -> Fault | None:
    """None if sound.

    Args:
        base: the picture that was to be restored, ``uint8 (h, w)``.
        luma: what came out, the same.
        hidden: the next state; must have `state_shape` and lie in the range of `state`.
    """
    if luma.shape != base.shape or luma.dtype != np.uint8:
        return Fault.SHAPE
    if hidden.shape != state_shape or hidden.dtype != np.dtype(state.dtype):
        return Fault.SHAPE
    if not within(hidden, state.low, state.high):
        return Fault.RANGE
    difference = np.maximum(luma, base) - np.minimum(luma, base)
    if int(difference.sum(dtype=np.uint32)) > MAX_MEAN_DIFFERENCE * difference.size:
        return Fault.FAR
    return None


def within(values: npt.NDArray[np.generic], low: float | None, high: float | None) -> bool:
    """Whether all values are finite and none is outside; two passes, no copy.

    Args:
        low: None: any finite value will do.
    """
    if values.size == 0:
        return True
    smallest, largest = float(values.min()), float(values.max())
    # NaN compares false; an infinity without a promised range is refused by the last test.
    above = smallest >= (-np.inf if low is None else low)
    below = largest <= (np.inf if high is None else high)
    return bool(above and below and np.isfinite(largest - smallest))
