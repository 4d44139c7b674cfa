"""Frames in memory that two processes share: written once here, read in place there.

::

    engine                                 worker
      FrameWriter --- segment ----------->  FrameReader      frames to be coded
      PictureSlots <-- segments -----------  RoomWriter      pictures that were decoded

A segment holds one packed I420 frame (Y, U, V without gaps).  The engine owns all of them: it
creates, grows and removes them, so a worker that is killed leaves nothing behind.
"""

import os
import secrets
import sys
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from typing import Final, final

import numpy as np

from auralink.codecs.errors import EncoderError
from auralink.codecs.frame import Frame, Plane, split_i420

_ATTACHED: Final = 8  # segments that a worker keeps open for one stream


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTicket:
    """Where a frame lies; what crosses the pipe in its stead."""

    memory: str
    width: int
    height: int
    pts_us: int


@final
class FrameWriter:
    """The owner's side: a segment that grows to the largest frame seen."""

    def __init__(self) -> None:
        self._memory: SharedMemory | None = None
        self._remove: Callable[[], object] = _nothing

    def write(self, frame: Frame) -> FrameTicket:
        """Copy a frame in.  The reader must be done with the one before.

        Raises:
            EncoderError: the machine has no shared memory left.
        """
        return _write(self._room_for(packed_bytes(frame)), frame)

    def close(self) -> None:
        """Remove the segment.  The reader's process should have ended or let go of it."""
        self._memory = None
        self._remove()

    def _room_for(self, size: int) -> SharedMemory:
        if self._memory is None or self._memory.size < size:
            self.close()
            self._memory = allocate(size)
            self._remove = weakref.finalize(self, remove, self._memory)
        return self._memory


@final
class FrameReader:
    """The other side: attaches to whatever segment a ticket names."""

    def __init__(self) -> None:
        self._memory: SharedMemory | None = None

    def read(self, ticket: FrameTicket) -> Frame:
        """The frame, in place: valid until the owner writes the next one."""
        if self._memory is None or self._memory.name != ticket.memory:
            self.close()
            self._memory = SharedMemory(ticket.memory)
        flat = _samples(self._memory)
        flat.flags.writeable = False
        y, u, v = split_i420(flat, ticket.width, ticket.height)
        return Frame(y=y, u=u, v=v, pts_us=ticket.pts_us)

    def close(self) -> None:
        memory, self._memory = self._memory, None
        if memory is not None:
            memory.close()


@dataclass(frozen=True, slots=True)
class Room:
    """A segment that a worker may write one picture into."""

    memory: str
    size: int  # bytes


@final
class RoomWriter:
    """The worker's side of `PictureSlots`: writes to whatever segment it is offered."""

    def __init__(self) -> None:
        self._attached: OrderedDict[str, SharedMemory] = OrderedDict()

    def write(self, frame: Frame, room: Room) -> FrameTicket | None:
        """Copy a frame in; None if it does not fit."""
        if room.size < packed_bytes(frame):
            return None
        memory = self._attached.pop(room.memory, None) or SharedMemory(room.memory)
        self._attached[room.memory] = memory
        if len(self._attached) > _ATTACHED:
            self._attached.popitem(last=False)[1].close()
        return _write(memory, frame)

    def close(self) -> None:
        while self._attached:
            self._attached.popitem()[1].close()


def packed_bytes(frame: Frame) -> int:
    return sum(plane.nbytes for plane in frame.planes)


def private_copy(frame: Frame) -> Frame:
    """A copy that may be kept after the shared one changes."""
    return Frame(y=frame.y.copy(), u=frame.u.copy(), v=frame.v.copy(), pts_us=frame.pts_us)


def allocate(size: int) -> SharedMemory:
    """A new segment.

    Raises:
        EncoderError: the machine has no shared memory left.
    """
    try:
        name = f"auralink-{os.getpid()}-{secrets.token_hex(4)}"  # macOS takes 30 characters
        memory = SharedMemory(name, create=True, size=size)
    except OSError as exc:
        raise EncoderError(f"no shared memory for a frame of {size} bytes: {exc}") from exc
    try:
        _reserve(memory.name, size)
    except OSError as exc:
        remove(memory)
        raise EncoderError(f"no shared memory for a frame of {size} bytes: {exc}") from exc
    return memory


def _reserve(name: str, size: int) -> None:
    """Take the pages now.

    Linux hands them out at the first write and, when /dev/shm is full (it has 64 MB in a default
    container), kills the writer: this process.
    """
    if not sys.platform.startswith("linux"):
        return
    descriptor = os.open(f"/dev/shm/{name.lstrip('/')}", os.O_RDWR)
    try:
        os.posix_fallocate(descriptor, 0, size)
    finally:
        os.close(descriptor)


def remove(memory: SharedMemory) -> None:
    memory.close()
    memory.unlink()


def _nothing() -> None: ...


def _write(memory: SharedMemory, frame: Frame) -> FrameTicket:
    planes = split_i420(_samples(memory), frame.width, frame.height)
    for target, source in zip(planes, frame.planes, strict=True):
        np.copyto(target, source)
    return FrameTicket(
        memory=memory.name, width=frame.width, height=frame.height, pts_us=frame.pts_us
    )


def _samples(memory: SharedMemory) -> Plane:
    assert memory.buf is not None  # it is open
    return np.frombuffer(memory.buf, np.uint8)
