"""Whether a job that ended is put together anew, and when.  Pure.

Rooms come back by themselves after any loss (`engine.room.session`), so what gets here is what
that cannot mend: a refusal, a room that was closed, a fault of ours.
"""

import enum
from dataclasses import dataclass
from typing import Final

from auralink.codecs.errors import AuraLinkError, InputError, UnsupportedError
from auralink.engine.room.errors import AccessRefused, RoomEnded, RoomError


class Verdict(enum.Enum):
    END = "end"  # nothing went wrong
    FAIL = "fail"  # the same again would fail again
    AGAIN = "again"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """
    Attributes:
        first_s, most_s: pauses double from the first to the most.
        faults: how many faults of ours in a row are borne: then the job has failed.
        healthy_s: a job that ran for so long starts counting anew.
    """

    first_s: float = 1.0
    most_s: float = 60.0
    faults: int = 5
    healthy_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One life of a relay.

    Attributes:
        error: why it ended; None: it was let go.
        lasted_s: how long it lived.
        joined: whether it was in its rooms.
        renews: whether a new token can be made for it.
    """

    error: BaseException | None
    lasted_s: float
    joined: bool
    renews: bool


_FINAL: Final = (InputError, UnsupportedError)


def judge(run: Run) -> Verdict:
    """What the end of a run means, faults in a row left aside."""
    match run.error:
        case None | RoomEnded():
            return Verdict.END
        case AccessRefused():
            # It was let in before, so the token has expired while the server was away.
            return Verdict.AGAIN if run.joined and run.renews else Verdict.FAIL
        case RoomError(retry=retry):
            return Verdict.AGAIN if retry else Verdict.FAIL
        case error if isinstance(error, _FINAL):
            return Verdict.FAIL
        case _:
            return Verdict.AGAIN


class Restarts:
    """Counts the runs of one job."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self._tries = 0
        self._faults = 0

    def after(self, run: Run, random: float) -> tuple[Verdict, float]:
        """Verdict, and seconds to wait before the next run.

        Args:
            random: 0..1; spreads the return of many jobs after a common failure.
        """
        policy = self._policy
        verdict = judge(run)
        if verdict is not Verdict.AGAIN:
            return verdict, 0.0
        if run.lasted_s >= policy.healthy_s:
            self._tries = self._faults = 0
        if not isinstance(run.error, RoomError):
            self._faults += 1
            if self._faults > policy.faults:
                return Verdict.FAIL, 0.0
        nominal = min(policy.most_s, policy.first_s * 2.0 ** min(self._tries, 30))
        self._tries += 1
        return Verdict.AGAIN, nominal * (0.5 + random / 2)


def in_words(error: BaseException | None) -> str:
    """For people.  What is not of our making may quote anything, so only its kind is told."""
    if error is None:
        return ""
    if isinstance(error, AuraLinkError):
        return str(error)
    return f"a fault of the engine: {type(error).__name__} (its log has more)"
