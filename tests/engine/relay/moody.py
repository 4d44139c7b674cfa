"""A restoration network that goes wrong when a file says so; workers import it from here."""

import time
from dataclasses import dataclass
from pathlib import Path

from auralink.bench.fault.outputs import SPOILS, Nonsense, spoiled
from auralink.codecs.frame import Frame
from auralink.codecs.video.protocol import Networks
from auralink.engine.inference.services import Made, RestoreOrder, RestoreService, Service

SLOW_S = 0.7  # longer than a picture has in these tests, and not so long that it is a hang


@dataclass(frozen=True)
class Moody:
    """Makes the service.  The file holds one of "slow", "nonsense", or nothing."""

    mood: Path

    def __call__(self, networks: Networks) -> Service:
        return _Service(self.mood, networks)


class _Service:
    def __init__(self, mood: Path, networks: Networks) -> None:
        self._mood = mood
        self._good = RestoreService(networks)
        self._bad = Nonsense(spoiled(SPOILS["not a number"]))(networks)

    @property
    def facts(self) -> None:
        return None

    def work(self, frame: Frame | None, order: RestoreOrder) -> Made:
        match self._mood.read_text():
            case "slow":
                time.sleep(SLOW_S)
            case "nonsense":
                return self._bad.work(frame, order)
        return self._good.work(frame, order)

    def close(self) -> None: ...
