"""What crosses the pipes between the engine and a worker.

::

    engine                       worker
      Open(seat, make) --------->  a thread for the seat; builds the service
      End ---------------------->  ends, when all seats have
                                               on the pipe of the process; with Open goes one end of
    ...........................................a pipe for the seat
      <----------- Ready | Failed
      Job ---------------------->  the service works
      <-- Done | NeedsRoom | Failed
      Fetch (after NeedsRoom) -->  the same answer once more, with enough room
      <-------------------- Done
      (closed) ----------------->  closes the service

A seat has at most one question open.  Seat 0 is the worker's own: its models.
"""

from dataclasses import dataclass, field

from auralink.codecs.errors import AuraLinkError
from auralink.engine.inference.services import Make
from auralink.engine.inference.shared_frames import FrameTicket, Room

DESK = 0


@dataclass(frozen=True, slots=True)
class Open:
    seat: int
    make: Make


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    order: object
    ticket: FrameTicket | None  # of the frame that goes with it
    room: Room | None  # for a picture that may come back


@dataclass(frozen=True, slots=True)
class Fetch:
    room: Room


@dataclass(frozen=True, slots=True)
class End:
    pass


@dataclass(frozen=True, slots=True)
class Ready:
    facts: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    value: object
    ticket: FrameTicket | None
    started_us: int  # on the clock that all processes of a machine share
    run_us: int  # the service itself, without the way there and back


@dataclass(frozen=True, slots=True)
class NeedsRoom:
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Failed:
    error: AuraLinkError = field(repr=False)


Order = Open | Job | Fetch | End
Answer = Ready | Done | NeedsRoom | Failed
