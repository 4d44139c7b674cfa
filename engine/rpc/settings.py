"""What an operator chooses about the gRPC service."""

from dataclasses import dataclass
from typing import Final

from auralink.codecs.video.profiles import DEFAULT_PROFILE
from auralink.engine.service.tls import TlsFiles

MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcSettings:
    """
    Attributes:
        port: 0 lets the system choose; `GrpcServer.port` says which.
        production: refuse to listen outside loopback without TLS, or at all without
            authentication.
        reflection: serve the descriptors, to callers who may see them.
        max_message_bytes: of requests and responses.  A picture of 1920x1080 has 3.1 MB.
        max_calls: at once; a stream is one.
        max_streams: encoders, all callers together; each has a process of its own.
        idle_s: an encoder that was not asked for so long is closed.
        frames_per_s: of one stream; a second's worth may come at once.
        frames_in_flight: being coded or waiting, all streams together; more fall back.
        frame_limit_s: for a frame whose caller sets no limit.
        slow_reader_s: a client that takes nothing for so long is hung up on.
        drain_s: for calls in progress at a stop.
    """

    host: str = "127.0.0.1"
    port: int = 50051
    tls: TlsFiles | None = None
    production: bool = False
    reflection: bool = True
    profile: str = DEFAULT_PROFILE
    max_message_bytes: int = 8 * MIB
    max_calls: int = 512
    max_streams: int = 32
    idle_s: float = 30.0
    frames_per_s: int = 200
    frames_in_flight: int = 64
    frame_limit_s: float = 10.0
    slow_reader_s: float = 5.0
    drain_s: float = 30.0
