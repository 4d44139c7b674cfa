"""Pictures that come back from a worker, shown from where the worker wrote them.

A picture is used for a while after it was made: it waits for its time, and others are scaled from
it.  So each gets a segment of its own, which is taken back when the last view of its planes is
gone.  Where all are out (a player that has stalled), pictures are copied out instead, so the shared
memory of a stream is bounded.

Source: https://numpy.org/doc/stable/reference/arrays.interface.html, by which numpy keeps alive
what the memory belongs to.
"""

import ctypes
import weakref
from collections import deque
from multiprocessing.shared_memory import SharedMemory
from typing import Any, Final, final

import numpy as np

from auralink.codecs.frame import Frame, Plane, split_i420
from auralink.engine.inference.shared_frames import (
    FrameTicket,
    Room,
    allocate,
    private_copy,
)

MOST: Final = 4  # the one shown, the one before, and two that wait


@final
class PictureSlots:
    """The segments of one stream.  One thread at a time, but views may die in any."""

    def __init__(self) -> None:
        self._free: deque[SharedMemory] = deque()
        self._made: dict[str, SharedMemory] = {}
        self._offered: SharedMemory | None = None
        self._size = 0
        self._remove = weakref.finalize(self, _unlink_all, self._made)

    def offer(self, size: int = 0) -> Room | None:
        """Room for the next picture, at least `size` bytes; None before any size was asked for.

        Raises:
            EncoderError: the machine has no shared memory left.
        """
        if size > self._size:
            self._size = size
        if not self._size:
            return None
        memory = self._offered
        if memory is None or memory.size < self._size:
            if memory is not None:
                self._drop(memory)
            memory = self._offered = self._take()
        return Room(memory.name, memory.size)

    def receive(self, ticket: FrameTicket) -> Frame:
        """The picture that was written to the room offered last."""
        memory, self._offered = self._offered, None
        assert memory is not None
        assert memory.name == ticket.memory
        spare = len(self._made) - len(self._free) <= MOST
        flat = _borrowed(memory, self._free)
        flat.flags.writeable = False
        y, u, v = split_i420(flat, ticket.width, ticket.height)
        frame = Frame(y=y, u=u, v=v, pts_us=ticket.pts_us)
        return frame if spare else private_copy(frame)

    def close(self) -> None:
        """Remove all.  Pictures that are still looked at stay readable."""
        self._free.clear()
        self._offered = None
        self._remove()

    def _take(self) -> SharedMemory:
        while self._free:
            memory = self._free.popleft()
            if memory.size >= self._size:
                return memory
            self._drop(memory)
        memory = allocate(self._size)
        self._made[memory.name] = memory
        return memory

    def _drop(self, memory: SharedMemory) -> None:
        del self._made[memory.name]
        memory.unlink()  # it is unmapped with its last reference


class _Borrowed:
    """Lends a segment to arrays; numpy keeps it for as long as one of them is there."""

    def __init__(self, memory: SharedMemory) -> None:
        assert memory.buf is not None
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory.buf))
        self.__array_interface__: dict[str, Any] = {
            "version": 3,
            "shape": (memory.size,),
            "typestr": "|u1",
            "data": (address, False),
        }


def _borrowed(memory: SharedMemory, free: "deque[SharedMemory]") -> Plane:
    """All bytes of a segment, which is free again when the last view is gone."""
    lender = _Borrowed(memory)
    # Not at exit: views may live longer than that, and the system takes all of it anyway.
    weakref.finalize(lender, free.append, memory).atexit = False
    flat: Plane = np.asarray(lender)
    return flat


def _unlink_all(made: dict[str, SharedMemory]) -> None:
    while made:
        made.popitem()[1].unlink()
