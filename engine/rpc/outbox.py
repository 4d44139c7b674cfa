"""Responses that wait for a slow reader.  Pure.

A reader that is behind wants the newest, not all.  Of the responses that wait at most `limit` hold
data; when there is one more, the oldest whose unit nothing depends on loses its data.  If there is
none, all lose it, and the encoder must be asked for a key.  What is left of a response without data
is its outcome: the frame is accounted for.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, final

from auralink.engine.rpc.stubs import aic_compression_pb2 as pb

LIMIT: Final = 10
# Outcomes alone take some 100 bytes each.  At the highest frame rate the reader is left before.
MOST: Final = 2_000
REASON: Final = "slow reader: this unit was given up for newer ones"


@dataclass(slots=True)
class Waiting:
    response: pb.CompressFrameResponse
    droppable: bool

    @property
    def has_data(self) -> bool:
        return bool(self.response.compressed_data)


@final
class Outbox:
    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._waiting: deque[Waiting] = deque()
        self._with_data = 0
        self.given_up = 0  # units

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Nothing more can be taken: the reader is gone for all we know."""
        return len(self._waiting) >= MOST

    def put(self, response: pb.CompressFrameResponse, *, droppable: bool) -> bool:
        """Enter a response; False if the encoder has to start anew with a key unit."""
        entry = Waiting(response, droppable)
        self._waiting.append(entry)
        self._with_data += entry.has_data
        if self._with_data <= self._limit:
            return True
        for older in self._waiting:
            if older.has_data and older.droppable:
                self._strip(older)
                return True
        for older in self._waiting:
            if older.has_data:
                self._strip(older)
        return False

    def take(self) -> pb.CompressFrameResponse | None:
        """The oldest; None if nothing waits."""
        if not self._waiting:
            return None
        entry = self._waiting.popleft()
        self._with_data -= entry.has_data
        return entry.response

    def _strip(self, entry: Waiting) -> None:
        response = entry.response
        response.ClearField("compressed_data")
        response.ClearField("ai_metadata")
        response.compressed_size_bytes = 0
        response.actual_compression_ratio = 0
        response.status = pb.STATUS_FALLBACK
        response.outcome = pb.OUTCOME_FELL_BACK
        response.fallback_used = True
        response.fallback_reason = REASON
        self._with_data -= 1
        self.given_up += 1
