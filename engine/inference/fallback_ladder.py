"""Which rung a stream stands on: down when it cannot go on as it is, up again when it could.  Pure.

What moves it, and how fast:

* **Down at once**: something that the rung needs is gone (the model's breaker opened, no worker
  can be had).  Every picture until the move would be lost or late, so there is nothing to wait
  for.  The next rung is the first one below that can do without.
* **Down by one rung**: a tenth of the pictures have been late or refused for a second, or the
  machine is too slow.  It waits for a second of it and for the hold: each move costs a key picture.
* **Down to the first rung that the bits pay for**: the link has been too thin for two seconds.
* **Up**: all is well, the rung above is predicted to fit, and both have been so for five seconds;
  after a try that failed, twice as long each time, up to a minute.  What was left because something
  was gone is taken up again in one move; what was left because of load, rung by rung.

The hold: no move up and no move for load or bits within five seconds of the move before.  Only a
need that is gone moves it sooner, and that can only go down: so it never swings faster than that.
"""

import enum
from dataclasses import dataclass
from typing import Final, final

from auralink.engine.inference.fallback_rungs import BY_NAME, RUNGS, Need, Rung

HOLD_US: Final = 5_000_000
_LATE_SHARE: Final = 0.1
LATE_US: Final = 1_000_000
_THIN_US: Final = 2_000_000
_CALM_US: Final = 5_000_000
_CALM_MOST_US: Final = 60_000_000
_FAILED_WITHIN_US: Final = 10_000_000  # a move down this soon after one up: the try failed
_FULL_LOAD: Final = 1.0
_UP_LOAD: Final = 0.8  # predicted for the rung above
_UP_BITS: Final = 1.3  # times what the rung needs


class Cause(enum.Enum):
    """Why a stream stands where it does."""

    START = "start"
    MODEL = "model"  # its breaker is open, or there is none
    WORKERS = "workers"  # no worker can be had
    LATE = "late"  # pictures miss their deadlines
    SLOW = "slow"  # coding takes longer than there is time
    THIN = "thin"  # too few bits for pictures
    CALM = "calm"  # all is well: up
    OPERATOR = "operator"


_GONE: Final = {Need.MODEL: Cause.MODEL, Need.WORKERS: Cause.WORKERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """How things are for one stream.

    Attributes:
        gone: what cannot be had at all.
        late_share: of the last second's pictures, those late or refused, 0..1.
        load: time that coding takes over the time there is, on the present rung; 0 if unknown.
        bits_bps: what the link leaves to this stream; None if unknown.
    """

    gone: frozenset[Need] = frozenset()
    late_share: float = 0.0
    load: float = 0.0
    bits_bps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    at_us: int
    before: Rung
    after: Rung
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderStatistics:
    rung: str
    cause: Cause
    since_us: int
    moves: int
    forced: bool
    next_try_us: int  # how long all must be well before it goes up


@final
class FallbackLadder:
    """One stream's.  Show it the signs every few pictures; it says when to move.

    Args:
        late_us: how long pictures must have been late, or coding too slow, before it goes down.
    """

    def __init__(self, now_us: int, *, late_us: int = LATE_US) -> None:
        self._patience_late_us = late_us
        self._at = 0
        self._wanted = 0  # where load lets it stand; lower only while something is gone
        self._forced: int | None = None
        self._cause = Cause.START
        self._moved_us = now_us
        self._held = False  # no move yet, so none to hold after
        self._raised_us: int | None = None
        self._late_us: int | None = None  # since then
        self._thin_us: int | None = None
        self._calm_us: int | None = None
        self._patience_us = _CALM_US
        self._moves = 0

    @property
    def rung(self) -> Rung:
        return RUNGS[self._at]

    @property
    def cause(self) -> Cause:
        return self._cause

    def look(self, signs: Signs, now_us: int) -> Move | None:
        """Move if it is time to."""
        self._note(signs, now_us)
        if self._forced is not None:
            return self._move(self._forced, Cause.OPERATOR, now_us)
        if not RUNGS[self._at].needs.isdisjoint(signs.gone):
            cause = _first_gone(RUNGS[self._at], signs)
            return self._down(self._below(self._at + 1, signs), cause, now_us)
        if not self._may_move(now_us):
            return None
        if _for(self._thin_us, now_us) >= _THIN_US:
            to = self._below(self._at + 1, signs)
            self._wanted = to
            return self._down(to, Cause.THIN, now_us)
        if _for(self._late_us, now_us) >= self._patience_late_us and self._at + 1 < len(RUNGS):
            to = self._below(self._at + 1, signs)
            self._wanted = to
            cause = Cause.LATE if signs.late_share >= _LATE_SHARE else Cause.SLOW
            return self._down(to, cause, now_us)
        if _for(self._calm_us, now_us) >= self._patience_us:
            return self._up(signs, now_us)
        return None

    def force(self, name: str | None) -> None:
        """An operator's choice, until None gives it free; takes effect with the next `look`.

        Raises:
            KeyError: no rung has that name.
        """
        self._forced = None if name is None else BY_NAME[name]
        if name is None:
            self._wanted = self._at
            self._calm_us = None

    def statistics(self) -> LadderStatistics:
        return LadderStatistics(
            rung=self.rung.name,
            cause=self._cause,
            since_us=self._moved_us,
            moves=self._moves,
            forced=self._forced is not None,
            next_try_us=self._patience_us,
        )

    def _note(self, signs: Signs, now_us: int) -> None:
        """Since when things are as they are."""
        late = signs.late_share >= _LATE_SHARE or signs.load > _FULL_LOAD
        bits = signs.bits_bps
        thin = bits is not None and bits < self.rung.least_bps
        self._late_us = _since(self._late_us, now_us, holds=late)
        self._thin_us = _since(self._thin_us, now_us, holds=thin)
        calm = not late and not thin and self._above(signs) is not None
        self._calm_us = _since(self._calm_us, now_us, holds=calm)

    def _above(self, signs: Signs) -> int | None:
        """The rung that a move up would lead to, if there is one that fits."""
        if self._at > self._wanted:
            first = self._below(self._wanted, signs)
            return first if first < self._at else None
        for index in range(self._at - 1, -1, -1):
            if self._fits(index, signs, room=_UP_BITS):
                more = RUNGS[index].effort / RUNGS[self._at].effort if self.rung.effort else 1.0
                return index if signs.load * more <= _UP_LOAD else None
        return None

    def _below(self, start: int, signs: Signs) -> int:
        """The first rung from ``start`` on that can be stood on; the last one always can."""
        return next(i for i in range(start, len(RUNGS)) if self._fits(i, signs, room=1.0))

    def _fits(self, index: int, signs: Signs, *, room: float) -> bool:
        rung, bits = RUNGS[index], signs.bits_bps
        paid = bits is None or bits >= room * rung.least_bps
        return rung.needs.isdisjoint(signs.gone) and (paid or not rung.video)

    def _may_move(self, now_us: int) -> bool:
        return not self._held or now_us - self._moved_us >= HOLD_US

    def _down(self, to: int, cause: Cause, now_us: int) -> Move | None:
        raised, self._raised_us = self._raised_us, None
        if raised is not None:
            failed = now_us - raised <= _FAILED_WITHIN_US
            self._patience_us = min(2 * self._patience_us, _CALM_MOST_US) if failed else _CALM_US
        return self._move(to, cause, now_us)

    def _up(self, signs: Signs, now_us: int) -> Move | None:
        to = self._above(signs)
        if to is None:
            return None
        self._wanted = min(self._wanted, to)
        self._raised_us = now_us
        return self._move(to, Cause.CALM, now_us)

    def _move(self, to: int, cause: Cause, now_us: int) -> Move | None:
        if to == self._at:
            return None
        move = Move(at_us=now_us, before=RUNGS[self._at], after=RUNGS[to], cause=cause)
        self._at, self._cause, self._moved_us, self._held = to, cause, now_us, True
        self._late_us = self._thin_us = self._calm_us = None
        self._moves += 1
        return move


def _first_gone(rung: Rung, signs: Signs) -> Cause:
    return next(cause for need, cause in _GONE.items() if need in rung.needs & signs.gone)


def _since(start_us: int | None, now_us: int, *, holds: bool) -> int | None:
    if not holds:
        return None
    return now_us if start_us is None else start_us


def _for(start_us: int | None, now_us: int) -> int:
    return -1 if start_us is None else now_us - start_us
