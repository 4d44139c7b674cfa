"""Addresses and join requests of LiveKit's signal protocol, versions 1 and 0.  Pure.

Source: livekit/protocol ``livekit_rtc.proto``; server ``pkg/service/rtcservice.go``.
"""

import base64
import gzip
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from livekit.protocol import models, rtc

from auralink.codecs.errors import InputError

PROTOCOL: Final = 17  # of the signal messages: 16 adds the packet trailer, 17 single connections
SIGNAL_PATH: Final = "/rtc/v1"
VALIDATE_PATH: Final = "/rtc/v1/validate"
OLD_SIGNAL_PATH: Final = "/rtc"
OLD_VALIDATE_PATH: Final = "/rtc/validate"
AGENT_PATH: Final = "/agent"
AGENT_PROTOCOL: Final = 1
_SCHEMES: Final = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


def signal_url(server: str, join_request: str) -> str:
    return _url(server, SIGNAL_PATH, {"join_request": join_request})


def old_signal_url(server: str, *, version: str) -> str:
    """Signal protocol 0, for servers before 1.9.11: settings in the query, two connections."""
    settings = {
        "protocol": str(PROTOCOL),
        "version": version,
        "os": "linux",
        "auto_subscribe": "0",
        "adaptive_stream": "0",
        "subscriber_allow_pause": "0",
    }
    return _url(server, OLD_SIGNAL_PATH, settings)


def old_validate_url(server: str) -> str:
    return _http(_url(server, OLD_VALIDATE_PATH, {"protocol": str(PROTOCOL)}))


def agent_url(server: str) -> str:
    """Where workers register."""
    return _url(server, AGENT_PATH, {"protocol": str(AGENT_PROTOCOL)})


def validate_url(server: str, join_request: str) -> str:
    """Plain HTTP: a failed WebSocket upgrade hides why, this address tells."""
    return _http(_url(server, VALIDATE_PATH, {"join_request": join_request}))


def join_request(
    *,
    version: str,
    resume_sid: str | None = None,
) -> str:
    """The ``join_request`` parameter.

    Nothing is subscribed unasked: tracks that the bot would throw away cost a renegotiation each.
    """
    request = rtc.JoinRequest(
        client_info=models.ClientInfo(
            sdk=models.ClientInfo.SDK.UNKNOWN,  # GO and others change how the server treats tracks
            version=version,
            os="linux",
            protocol=PROTOCOL,
            other_sdks=f"auralink-aic:{version}",
        ),
        connection_settings=rtc.ConnectionSettings(
            auto_subscribe=False, adaptive_stream=False, subscriber_allow_pause=False
        ),
    )
    if resume_sid is not None:
        request.reconnect = True
        request.participant_sid = resume_sid
        request.reconnect_reason = models.ReconnectReason.RR_SIGNAL_DISCONNECTED
    wrapped = rtc.WrappedJoinRequest(
        compression=rtc.WrappedJoinRequest.GZIP,
        join_request=gzip.compress(request.SerializeToString(), mtime=0),
    )
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()  # padding is required


def check_server(server: str) -> None:
    """
    Raises:
        InputError: not an address of a LiveKit server.
    """
    parts = urlsplit(server)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise InputError(f"{server!r} is no server address: ws://HOST:PORT or wss://HOST")


def _http(address: str) -> str:
    url = urlsplit(address)
    return urlunsplit(url._replace(scheme={"ws": "http", "wss": "https"}[url.scheme]))


def _url(server: str, path: str, query: Mapping[str, str]) -> str:
    check_server(server)
    parts = urlsplit(server)
    base = parts.path.rstrip("/")
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, base + path, urlencode(query), ""))
