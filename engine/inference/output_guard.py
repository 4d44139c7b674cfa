"""Refuses what a model made before anybody sees or hears it: one guard for each stream.

A single result can be judged by itself: shape, type, NaN, infinity, range.  That a model froze or
fell silent shows over several frames only, and against what went in: a still scene makes equal
pictures, and somebody who listens makes no sound.

`models.guard.judge` looks at one restored picture; `RestoreService` puts this behind it, in the
worker: no guard computes on the event loop.
"""

import zlib
from dataclasses import dataclass
from typing import Final, Literal, final

import numpy as np
import numpy.typing as npt

from auralink.models.guard import Fault, within

_SILENCES: Final = 3  # blocks in a row: a model may be late by two
_STEP: Final = 8  # of the grid on which pictures are compared: 1/64 of the samples
_MOVES: Final = 1.0  # mean difference on the grid, grey levels: twice the noise of a camera
_HEARD: Final = 0.01  # root mean square of full scale, -40 dB: speech from across a room
_SILENT: Final = 0.0003  # -70 dB: below the noise of any microphone


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a model says it makes.

    Attributes:
        low: smallest sound value; None: any finite one.
        full_scale: of sound: what counts as 1.0.
    """

    kind: Literal["picture", "sound"]
    shape: tuple[int, ...]
    dtype: str
    low: float | None = None
    high: float | None = None
    full_scale: float = 1.0


@final
class OutputGuard:
    """One stream's: it remembers what went in and came out before."""

    def __init__(self) -> None:
        self._input: npt.NDArray[np.float32] | None = None  # on the grid
        self._output: int | None = None  # checksum
        self._silent = 0

    def judge(
        self,
        given: npt.NDArray[np.generic],
        made: npt.NDArray[np.generic],
        promise: Promise,
    ) -> Fault | None:
        """None if sound.

        Args:
            given: what went in, of any shape; pictures ``(h, w)``.
            made: what came out.
        """
        if made.shape != promise.shape or made.dtype != np.dtype(promise.dtype):
            return Fault.SHAPE
        if not within(made, promise.low, promise.high):
            return Fault.RANGE
        if promise.kind == "sound":
            return self._judge_sound(given, made, promise.full_scale)
        return self._judge_picture(given, made)

    def _judge_sound(
        self, given: npt.NDArray[np.generic], made: npt.NDArray[np.generic], full_scale: float
    ) -> Fault | None:
        lost = _rms(given) > _HEARD * full_scale and _rms(made) < _SILENT * full_scale
        self._silent = self._silent + 1 if lost else 0
        return Fault.SILENT if self._silent >= _SILENCES else None

    def _judge_picture(
        self, given: npt.NDArray[np.generic], made: npt.NDArray[np.generic]
    ) -> Fault | None:
        grid = given[::_STEP, ::_STEP].astype(np.float32)
        checksum = zlib.crc32(np.ascontiguousarray(made).data)
        before, self._input = self._input, grid
        same, self._output = checksum == self._output, checksum
        moved = (
            before is not None
            and before.shape == grid.shape
            and float(np.abs(grid - before).mean()) > _MOVES
        )
        return Fault.FROZEN if same and moved else None


def _rms(samples: npt.NDArray[np.generic]) -> float:
    values = samples.astype(np.float32)
    return float(np.sqrt(np.mean(values * values))) if values.size else 0.0
