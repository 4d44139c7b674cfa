"""Which AV1 engine codes a stream: the one that saves bits, or the one that repairs cheaply.

SVT-AV1 needs 3 to 10 % fewer bits, but only a key repairs a lost reference.  libaom repairs from
what the receiver has acknowledged, for a fraction of a key; measured, it wins from 2 to 5 % of lost
reference units on.  A change of engine is a key itself, so it is made where one is due anyway.
"""

from collections import deque
from typing import Final

_REPAIRS: Final = 2  # within the window: once may be chance
_WINDOW_S: Final = 10.0
_CALM_S: Final = 30.0


class EngineChoice:
    """Decides for one stream; tell it of every repair.

    Args:
        wish: ``auto``, or the engine that it has to be.
    """

    def __init__(self, wish: str) -> None:
        self._auto = wish == "auto"
        self._engine = wish
        self._repairs: deque[int] = deque(maxlen=_REPAIRS)  # capture times, microseconds

    @property
    def engine(self) -> str:
        return self._engine

    def repair(self, pts_us: int) -> str:
        """A repair is due at ``pts_us``; return the engine to make it with."""
        self._repairs.append(pts_us)
        often = len(self._repairs) == _REPAIRS and pts_us - self._repairs[0] <= _WINDOW_S * 1e6
        if self._auto and often:
            self._engine = "aom"
        return self._engine

    def key(self, pts_us: int) -> str:
        """A key is due that repairs nothing; return the engine to make it with."""
        calm = not self._repairs or pts_us - self._repairs[-1] > _CALM_S * 1e6
        if self._auto and calm:
            self._engine = "auto"
        return self._engine

    def unavailable(self) -> None:
        """The engine cannot be opened here: stay with what ``auto`` finds."""
        self._auto = False
        self._engine = "auto"
