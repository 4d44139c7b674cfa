"""What the inference engine asks of whatever runs the models: threads, processes, another machine.

::

    InferenceEngine ──run(request)──► Backend ──► a worker of its choice
                    ◄─────── Ran ────           (or BackendError, or RefusedOutput)

The engine never has more than two requests per worker with the backend: one that runs, and one that
waits at the worker so that it need not idle while the answer travels.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Generic, Protocol, TypeVar

from auralink.codecs.errors import AuraLinkError, InputError

P_co = TypeVar("P_co", covariant=True)
P_contra = TypeVar("P_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class BackendError(AuraLinkError):
    """A worker crashed, hung or was lost, or the runtime failed.  The frame falls back; the
    breaker counts it.
    """


class RefusedOutput(BackendError):
    """The worker's own guard refused what the model made."""


class Media(enum.Enum):
    AUDIO = "audio"
    VIDEO = "video"

    __hash__ = object.__hash__  # members are singletons, and this is asked for with each frame


# From capture, or from arrival where a frame comes over a link: a picture's time at 30 frames per
# second, and a block of sound.
DEADLINE_US: Final[Mapping[Media, int]] = MappingProxyType(
    {Media.AUDIO: 20_000, Media.VIDEO: 33_000}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[P_co]):
    """One frame for one model.

    Attributes:
        stream: whose frame; at most one of a stream runs at a time, in the order given.
        tenant: who pays: tenants get fair shares of what the workers can do.
        model: what breaker, cost and `Backend.serves` are about.
        size: width and height of the picture, or samples and channels of sound; cost depends on it.
        captured_us: on the engine's clock.
        deadline_us: the answer comes by then, whatever it is; same clock.
        payload: what the backend needs.

    Raises:
        InputError: no size, or a deadline before the capture.
    """

    stream: str
    media: Media
    model: str
    size: tuple[int, int]
    captured_us: int
    deadline_us: int
    payload: P_co = field(repr=False, compare=False)
    tenant: str = ""

    def __post_init__(self) -> None:
        if self.deadline_us <= self.captured_us:
            raise InputError(
                f"stream {self.stream}: a deadline {self.captured_us - self.deadline_us} us "
                "before the capture can never be met"
            )
        if min(self.size) < 1:
            width, height = self.size
            raise InputError(f"stream {self.stream}: no model runs on {width}x{height}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran(Generic[R_co]):
    """What a worker made.

    Attributes:
        run_us: time the model itself took, without waiting and without the way there and back.
    """

    result: R_co = field(repr=False)
    run_us: int


class Backend(Protocol[P_contra, R_co]):
    """A group of equal workers."""

    @property
    def workers(self) -> int:
        """How many requests can run at the same time."""
        ...

    def serves(self, model: str) -> bool:
        """Whether that model is live here.  Asked for every frame: must be quick."""
        ...

    async def run(self, request: Request[P_contra]) -> Ran[R_co]:
        """Run a request on the worker that is free first.

        The engine does not cancel it at the deadline (native code would go on all the same) but
        counts the worker as taken until this returns.  So it must return or raise: within a second
        after a worker stopped to answer.

        Raises:
            BackendError: no result; `RefusedOutput` if there was one and it was bad.
        """
        ...

    async def probe(self, model: str) -> int:
        """Run the model's golden vector on a worker and compare.

        Returns:
            Microseconds that one of its frames took.

        Raises:
            BackendError: it failed, or something else came out.
        """
        ...
