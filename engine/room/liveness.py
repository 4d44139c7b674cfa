"""When something last came over a peer connection.

aiortc notices a dead path after half a minute, and takes a path of more than half a second there
and back for a dead one; both because it counts unanswered checks only.  Here everything that
arrives is a sign of life, and a question every two seconds asks for one where nothing flows.
"""

import time
from typing import Any, Final

import aioice.ice
from aiortc import RTCPeerConnection

QUESTION_S: Final = 2.0
# Five questions: with a fifth of all packets lost both ways, all go unanswered once in 150 times,
# and that only where nothing else flows.
SILENCE_S: Final = 13.0
_NEVER: Final = 1_000_000  # unanswered checks until aioice closes: that is decided here


def note_arrivals() -> None:
    """Have `last_heard` know of everything that comes from now on, in the whole process."""
    aioice.ice.CONSENT_INTERVAL = int(QUESTION_S)
    aioice.ice.CONSENT_FAILURES = _NEVER
    protocol = aioice.ice.StunProtocol
    handle: Any = protocol.datagram_received
    if getattr(handle, "notes", False):
        return

    def noted(self: Any, data: bytes | str, addr: tuple[Any, ...]) -> None:
        vars(self)["heard_at"] = time.monotonic()
        handle(self, data, addr)

    vars(noted)["notes"] = True
    setattr(protocol, "datagram_received", noted)  # noqa: B010 - it is a method


def last_heard(connection: RTCPeerConnection) -> float | None:
    """Seconds of the monotonic clock; None before anything came."""
    transports = vars(connection)["_RTCPeerConnection__iceTransports"]
    times = [
        vars(protocol).get("heard_at")
        for transport in transports
        for protocol in transport._connection._protocols
    ]
    return max((at for at in times if at is not None), default=None)
