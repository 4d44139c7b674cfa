"""What the engine asks of a room, whoever implements it.

Calls and callbacks are of one event loop.  A room comes back by itself after any loss; what was
published is published again, and every track is announced anew with `changed`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from aiortc import MediaStreamTrack
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from auralink.engine.room.data_packet import DataPacket
from auralink.engine.room.errors import RoomError
from auralink.engine.room.roster import Change

# With the capture time in microseconds on the publisher's clock, which all its tracks share; None
# while it is not known.
VideoSink: TypeAlias = Callable[[VideoFrame, int | None], None]
AudioSink: TypeAlias = Callable[[AudioFrame, int | None], None]
DataSink: TypeAlias = Callable[[DataPacket], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoOffer:
    """A video track to publish.

    Attributes:
        make_track: called at every (re)join; its ``recv`` returns coded packets or frames.
        key_wanted: a viewer lost the picture.
        paused: told True while nobody watches (dynacast), False when somebody does.
    """

    name: str
    source: str = "camera"
    codec: str = "vp8"
    size: tuple[int, int]
    bitrate_bps: int = 1_000_000
    make_track: Callable[[], MediaStreamTrack] = field(repr=False)
    key_wanted: Callable[[], None] = field(repr=False)
    paused: Callable[[bool], None] = field(repr=False, default=lambda paused: None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioOffer:
    name: str
    source: str = "microphone"
    make_track: Callable[[], MediaStreamTrack] = field(repr=False)


class Published(Protocol):
    """A track of ours; the object stays the same over reconnects."""

    @property
    def sid(self) -> str:
        """Empty until the server knows it."""

    def mute(self, muted: bool) -> None: ...

    def unpublish(self) -> None: ...


class PublishedData(Protocol):
    @property
    def sid(self) -> str: ...

    def send(self, payload: bytes, timestamp: int) -> bool:
        """Hand over one packet; False if it was dropped (not connected, or the link is full).

        Args:
            timestamp: 90 kHz.
        """

    @property
    def buffered_bytes(self) -> int:
        """Waiting in this machine, of all data tracks together."""

    def unpublish(self) -> None: ...


class RoomListener(Protocol):
    """Called on the event loop; must return at once."""

    def joined(self) -> None: ...

    def lost(self, why: str) -> None:
        """Trying to come back."""

    def ended(self, error: RoomError | None) -> None: ...

    def changed(self, change: Change) -> None: ...

    def control(self, identity: str, topic: str, payload: bytes) -> None:
        """A reliable message."""


class RoomTransport(Protocol):
    @property
    def identity(self) -> str: ...

    async def run(self) -> None:
        """Be in the room until `leave`, or until coming back is no use (`RoomListener.ended`)."""

    def leave(self) -> None: ...

    def subscribe_video(self, sid: str, sink: VideoSink) -> None: ...

    def subscribe_audio(self, sid: str, sink: AudioSink) -> None: ...

    def subscribe_data(self, sid: str, sink: DataSink) -> None: ...

    def unsubscribe(self, sid: str) -> None: ...

    def wish_size(self, sid: str, size: tuple[int, int], fps: int) -> None:
        """The largest picture that is of use: simulcast sends the layer next to it."""

    def received_bytes(self, sid: str) -> int | None:
        """What a subscribed track of sound or pictures cost on the wire so far, headers included.

        It counts anew after the connection was lost.  None: it is not counted, or nothing came.
        """

    def publish_video(self, offer: VideoOffer) -> Published: ...

    def publish_audio(self, offer: AudioOffer) -> Published: ...

    def publish_data(self, name: str) -> PublishedData: ...

    def send_control(
        self, topic: str, payload: bytes, to: Sequence[str] = (), *, reliable: bool = True
    ) -> bool:
        """A message; False if it could not be handed over.

        Args:
            reliable: it arrives, in order, and holds up those after it until then.  What the next
                message replaces is better sent without.
        """
