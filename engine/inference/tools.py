"""The networks of a worker: none, or one model that is replaced while it serves."""

import contextlib
import os
import sys
import threading
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, final

from auralink.codecs.frame import Frame, Plane
from auralink.codecs.video.protocol import Hidden, Networks, Restoration
from auralink.engine.inference.services import Made, Make, Service
from auralink.models.errors import ModelError
from auralink.models.live import LiveModel, prepare
from auralink.models.manifest import Entry

_NICE: Final = 10
_RUN_S: Final = 0.4  # a run is ended before its call counts as a hang, and the worker lives


@final
class NoNetworks:
    """Restores nothing: pictures are scaled plainly."""

    model_id = 0

    def restore(
        self,
        current: Plane,
        previous_output: Plane,
        hidden: Hidden | None,
        *,
        quantizer: int,
        scale: float,
        reference: bool,
    ) -> Restoration | None:
        del current, previous_output, hidden, quantizer, scale, reference
        return None


def no_tools() -> tuple[Networks, Make | None]:
    return NoNetworks(), None


@dataclass(frozen=True, slots=True)
class Swap:
    entry: Entry


@dataclass(frozen=True, slots=True)
class Probe:
    """Run the golden vectors of what serves."""


@dataclass(frozen=True, slots=True)
class Warm:
    """Be ready for pictures of that size."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Survey:
    """Ask for `LiveStatistics`."""


@final
class ModelDesk:
    """Seat 0 of a worker: takes orders about its model."""

    def __init__(self, model: LiveModel) -> None:
        self._model = model

    @property
    def facts(self) -> None:
        return None

    def work(self, frame: Frame | None, order: Any) -> Made:
        """
        Raises:
            ModelError: as `LiveModel.swap` and `probe`.
        """
        _let_frames_go_first()
        match order:
            case Swap(entry):
                return Made(self._model.swap(entry))
            case Probe():
                return Made(self._model.probe())
            case Warm(width, height):
                return Made(self._model.warm_up(width, height))
            case Survey():
                return Made(self._model.statistics())
            case _:
                raise AssertionError(order)

    def close(self) -> None:
        self._model.close()


def _let_frames_go_first() -> None:
    """Lower this thread's priority: loading and checking a model may take its time."""
    if sys.platform == "linux":  # where threads have one of their own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


@dataclass(frozen=True, slots=True)
class LiveTools:
    """Networks of an entry, checked as the worker starts.  A bad one leaves it without networks.

    Attributes:
        sizes: width and height of pictures that are in use.
    """

    entry: Entry
    sizes: tuple[tuple[int, int], ...] = ()

    def __call__(self) -> tuple[Networks, Make | None]:
        model = LiveModel(partial(prepare, limit_s=_RUN_S))
        with contextlib.suppress(ModelError):  # the statistics tell
            model.swap(self.entry)
        for width, height in self.sizes:
            model.warm_up(width, height)

        def desk(networks: Networks) -> Service:
            del networks
            return ModelDesk(model)

        return model, desk
