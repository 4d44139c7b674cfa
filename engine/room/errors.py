"""What can go wrong with a room, by whose fault it is and whether trying again helps.

No message ever holds a token: servers put it into the body of a 401, so bodies stay out of here.
"""

from auralink.codecs.errors import AuraLinkError


class RoomError(AuraLinkError):
    """Base class.  ``retry``: the same request may work later."""

    retry = False


class AccessRefused(RoomError):
    """The token is wrong, expired, or does not grant what was asked.  Get another one."""


class TokenExpired(AccessRefused):
    """The token was good once."""


class GrantMissing(AccessRefused):
    """The token is good, but not for this: it lacks ``roomJoin`` for the room."""


class RoomMissing(RoomError):
    """The room does not exist and the server does not create rooms by itself."""


class ServerTooOld(RoomError):
    """The server lacks what is needed: ``/rtc/v1`` (before 1.9.11), or even ``/rtc``."""


class Duplicate(RoomError):
    """Another participant joined with this identity.  Joining again would throw it out in turn."""


class RoomEnded(RoomError):
    """The room was closed, or this participant was removed, on purpose."""


class ServerBusy(RoomError):
    """The server cannot take this participant now."""

    retry = True


class ConnectionFailed(RoomError):
    """The server cannot be reached, fell silent, or the media path broke."""

    retry = True


class ProtocolError(RoomError):
    """The server sent what the protocol does not allow."""

    retry = True


class IceTcpOnly(ConnectionFailed):
    """The server offers TCP candidates alone, which this client cannot use.

    LiveKit does so for five minutes after UDP failed; ``rtc.allow_tcp_fallback: false`` on the
    server, or another identity, avoids it.
    """


class RequestRefused(RoomError):
    """The server answered a request with no; the room goes on."""
