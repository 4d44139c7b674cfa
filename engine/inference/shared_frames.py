"""Frames in memory that two processes share: written once here, read in place there.

One segment holds one packed I420 frame (Y, U, V without gaps).  The side that feeds frames owns
it: it creates, grows and removes it.  The other side attaches by name and sees read-only planes,
which change with the next frame.
"""

import os
import secrets
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from typing import final

import numpy as np

from auralink.codecs.errors import EncoderError
from auralink.codecs.frame import Frame, Plane, split_i420


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
        memory = self._room_for(sum(plane.nbytes for plane in frame.planes))
        planes = split_i420(_samples(memory), frame.width, frame.height)
        for target, source in zip(planes, frame.planes, strict=True):
            np.copyto(target, source)
        return FrameTicket(
            memory=memory.name, width=frame.width, height=frame.height, pts_us=frame.pts_us
        )

    def close(self) -> None:
        """Remove the segment.  The reader's process should have ended or let go of it."""
        self._memory = None
        self._remove()

    def _room_for(self, size: int) -> SharedMemory:
        if self._memory is None or self._memory.size < size:
            self.close()
            self._memory = _allocate(size)
            self._remove = weakref.finalize(self, _remove, self._memory)
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


def private_copy(frame: Frame) -> Frame:
    """A copy that may be kept after the shared one changes."""
    return Frame(y=frame.y.copy(), u=frame.u.copy(), v=frame.v.copy(), pts_us=frame.pts_us)


def _allocate(size: int) -> SharedMemory:
    try:
        name = f"auralink-{os.getpid()}-{secrets.token_hex(4)}"  # macOS takes 30 characters
        memory = SharedMemory(name, create=True, size=size)
    except OSError as exc:
        raise EncoderError(f"no shared memory for a frame of {size} bytes: {exc}") from exc
    try:
        _reserve(memory.name, size)
    except OSError as exc:
        _remove(memory)
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


def _remove(memory: SharedMemory) -> None:
    memory.close()
    memory.unlink()


def _nothing() -> None: ...


def _samples(memory: SharedMemory) -> Plane:
    assert memory.buf is not None  # it is open
    return np.frombuffer(memory.buf, np.uint8)
