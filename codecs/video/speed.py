"""Choose the encoder's preset by the time a frame takes and the time there is.

A preset is nominally worth so many milliseconds per megapixel; what a machine really takes is
measured frame by frame and kept as one factor on the table.  Faster at once when frames are late,
slower only with the next key and with room to spare, because a change re-opens the encoder.
"""

from collections.abc import Mapping
from typing import Final

# ms per megapixel on one core of the reference machine (bench/results/speed.json), people clips.
NOMINAL_MS: Final[Mapping[int, float]] = {
    3: 690.0,
    4: 380.0,
    5: 285.0,
    6: 132.0,
    7: 74.0,
    8: 48.0,
    9: 38.0,
    10: 33.0,
    11: 23.0,
}
# Palette search and intra block copy cost 1.3 to 3 times as much, and still areas next to nothing:
# on three screen clips it came out even.
SCREEN_FACTOR: Final = 1.0
REALTIME_FROM: Final = 7  # from this preset on the reduced real-time tools are used

_TARGET_LOAD: Final = 0.92  # of the frame budget, on average; lateness is answered in a second
_LATE_LOAD: Final = 1.0
_SLOWER_LOAD: Final = 0.7  # predicted load under which a slower preset is tried
_WEIGHT: Final = 0.05  # of one frame in the factor: about a second at 20 frames per second
_SETTLE_FRAMES: Final = 30
# A frame counts as at most so many budgets: that a machine stood still for a second says nothing
# of presets, and to re-open the encoder costs a key.  The dearest of a period take two or three.
_MOST_BUDGETS: Final = 4.0


class SpeedControl:
    """One stream's preset.

    Args:
        pinned: the user's preset; then nothing is controlled.
        budget_ms: time per frame: frame interval times the share of cores granted.
        slowest: never choose a slower preset than this.
    """

    def __init__(
        self,
        *,
        pinned: int | None,
        pixels: int,
        budget_ms: float,
        screen: bool,
        slowest: int = min(NOMINAL_MS),
    ) -> None:
        self._slowest = slowest
        self._pinned = pinned
        self._megapixels = pixels / 1e6
        self._budget_ms = budget_ms
        self._screen = screen
        self._factor = 1.0
        self._frames = 0
        self._preset = pinned if pinned is not None else self._best(_TARGET_LOAD)

    @property
    def preset(self) -> int:
        return self._preset

    def observe(self, encode_ms: float) -> bool:
        """Enter the time one frame took; True if the encoder must be re-opened faster, now."""
        nominal = self._nominal(self._preset)
        spent_ms = min(encode_ms, _MOST_BUDGETS * max(self._budget_ms, self._factor * nominal))
        self._factor += _WEIGHT * (spent_ms / nominal - self._factor)
        self._frames += 1
        if self._pinned is not None or self._frames < _SETTLE_FRAMES:
            return False
        if self._load(self._preset) <= _LATE_LOAD:
            return False
        faster = self._best(_TARGET_LOAD)
        if faster <= self._preset:
            return False
        self._preset, self._frames = faster, 0
        return True

    def at_key(self, *, pixels: int, screen: bool) -> int:
        """The preset for an encoder that is re-opened or restarted anyway."""
        same = screen == self._screen
        self._megapixels, self._screen = pixels / 1e6, screen
        if self._pinned is None:
            load = _SLOWER_LOAD if same else _TARGET_LOAD
            slower = self._best(load)
            if slower < self._preset or self._load(self._preset) > _LATE_LOAD:
                self._preset, self._frames = slower, 0
        return self._preset

    def _best(self, load: float) -> int:
        """The slowest preset that stays under ``load``; the fastest if none does."""
        for preset in range(self._slowest, max(NOMINAL_MS)):
            if self._load(preset) <= load:
                return preset
        return max(NOMINAL_MS)

    def _load(self, preset: int) -> float:
        return self._factor * self._nominal(preset) / self._budget_ms

    def _nominal(self, preset: int) -> float:
        known = min(max(preset, min(NOMINAL_MS)), max(NOMINAL_MS))
        screen = SCREEN_FACTOR if self._screen else 1.0
        return max(NOMINAL_MS[known] * self._megapixels * screen, 0.05)
