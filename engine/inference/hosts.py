"""Where codecs and networks may run: at workers, or right here.

A stream asks a `Host` for a `Seat`: a place where its service runs, and is made anew when it fails.
"""

from typing import Final, Protocol, final

from auralink.codecs.frame import Frame
from auralink.codecs.video.protocol import Networks
from auralink.engine.inference.messages import Done
from auralink.engine.inference.services import Made, Make, Service
from auralink.engine.inference.worker import START_S, WorkerLost

DEADLINE_S: Final = 1.0  # a key at 1280x720 takes a third of it at most; more is a hang


class Seat(Protocol):
    """One thread at a time."""

    @property
    def is_fresh(self) -> bool:
        """The next frame is the first that its service sees."""
        ...

    @property
    def pid(self) -> int | None:
        """The process where it runs, None while there is none, or if it is this one."""
        ...

    @property
    def last(self) -> Done | None:
        """When the last call ran, and how long; None if there was none, or nobody measured it."""
        ...

    def open(self) -> object:
        """Make the service, if there is none; returns its facts.

        Raises:
            AuraLinkError: it could not be made.
        """
        ...

    def work(self, frame: Frame | None, order: object) -> Made:
        """One call.

        Raises:
            AuraLinkError: it failed; the next call finds a fresh service.
        """
        ...

    def restart(self) -> None:
        """Leave the service behind; another one is made for the next call."""
        ...

    def doubt(self) -> None:
        """The call that runs takes suspiciously long: no new stream shall sit next to it."""
        ...

    def close(self) -> None:
        """Safe to call twice."""
        ...


class Host(Protocol):
    def seat(
        self,
        make: Make,
        *,
        doing: str,
        deadline_s: float = DEADLINE_S,
        busy_s: float = 0.0,
        start_s: float = START_S,
    ) -> Seat:
        """A place for a stream.  Nothing is made before it is needed.

        Args:
            make: makes the service; picklable.
            doing: what a call is, for messages: "coding a frame".
            deadline_s: a call that takes longer is a hang.
            busy_s: but it may take so long while its process computes.
            start_s: the same for making the service.
        """
        ...


@final
class LocalHost:
    """Runs everything on the caller's thread, in this process.

    For tests, and where a second process is too much.  A crash or a hang is everybody's, limits of
    time are not kept.
    """

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    def seat(
        self,
        make: Make,
        *,
        doing: str,
        deadline_s: float = DEADLINE_S,
        busy_s: float = 0.0,
        start_s: float = START_S,
    ) -> Seat:
        del doing, deadline_s, busy_s, start_s
        return _LocalSeat(make, self._networks)


@final
class _LocalSeat:
    pid = None
    last = None

    def __init__(self, make: Make, networks: Networks) -> None:
        self._make = make
        self._networks = networks
        self._service: Service | None = None
        self._fresh = True
        self._closed = False

    @property
    def is_fresh(self) -> bool:
        return self._fresh

    def open(self) -> object:
        return self._open().facts

    def work(self, frame: Frame | None, order: object) -> Made:
        service = self._open()
        self._fresh = False
        try:
            return service.work(frame, order)
        except BaseException:
            self.restart()
            raise

    def restart(self) -> None:
        service, self._service, self._fresh = self._service, None, True
        if service is not None:
            service.close()

    def doubt(self) -> None:
        pass  # there is nowhere else

    def close(self) -> None:
        self._closed = True
        self.restart()

    def _open(self) -> Service:
        if self._closed:
            raise WorkerLost("this stream is closed: open a new one")
        if self._service is None:
            self._service = self._make(self._networks)
        return self._service
