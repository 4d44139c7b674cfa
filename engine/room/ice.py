"""Addresses for the media path: what the server offers and what of it aioice can use.  Pure."""

from dataclasses import dataclass

from livekit.protocol import rtc


@dataclass(frozen=True, slots=True)
class IceServer:
    urls: tuple[str, ...]
    username: str = ""
    credential: str = ""


def has_udp(sdp: str) -> bool:
    """Whether a description names an address that aioice can use."""
    candidates = (line.split() for line in sdp.splitlines() if line.startswith("a=candidate:"))
    return any(words[2].lower() == "udp" for words in candidates if len(words) > 2)


def relay_servers(join: rtc.JoinResponse) -> list[IceServer]:
    """The TURN servers that the server names.

    STUN is left out: a media server is reached where it says it is and learns our address from the
    packets, while a STUN server that does not answer holds up joining for five seconds.
    """
    servers = []
    for server in join.ice_servers:
        urls = tuple(url for url in server.urls if url.startswith(("turn:", "turns:")))
        if urls:
            servers.append(IceServer(urls, server.username, server.credential))
    return servers
