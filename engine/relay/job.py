"""A relay put together: bots, rooms, and who does what.

::

    FROM ──tracks──► source bot ──► sender bot ──data tracks──► TO ──► receiver bot ──tracks──► TO
                     └── one bot where FROM is TO ──┘
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias, final

from auralink.codecs.base.native import NativeCodec
from auralink.codecs.base.native import open_encoder as open_native
from auralink.codecs.video.base_session import Clock
from auralink.codecs.video.profiles import open_decoder
from auralink.codecs.video.protocol import VideoDecoder, VideoEncoder
from auralink.engine.relay.access import Access
from auralink.engine.relay.bots import Bot, Crew, Duty
from auralink.engine.relay.downlink import Downlink, OpenNative
from auralink.engine.relay.downlink_streams import Restorer
from auralink.engine.relay.options import RelayOptions
from auralink.engine.relay.status import status
from auralink.engine.relay.uplink import Uplink
from auralink.engine.room.backends import Backend, open_room
from auralink.engine.timeline import NO_TIMELINE, Timeline


class Role(enum.Enum):
    """Which half of a relay runs here."""

    SEND = "send"
    RECEIVE = "receive"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A room on a server."""

    access: Access
    room: str

    def same_as(self, other: "Place") -> bool:
        return (self.access.url, self.room) == (other.access.url, other.room)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    """
    Attributes:
        name: identities of the bots are made of it.
        codec: of the restored tracks.
        backend: what the bots join with.
        token: of the first bot, if somebody else made one for `first_identity`; those of the
            others are made with the key and secret of their places.
    """

    near: Place
    far: Place
    role: Role = Role.BOTH
    name: str = "aic"
    codec: NativeCodec = "vp8"
    options: RelayOptions = field(default_factory=RelayOptions)
    backend: Backend = "aiortc"
    token: str = field(default="", repr=False)

    @property
    def first_identity(self) -> str:
        """Of the bot in the near room; of the receiver where nothing is sent."""
        if self.role is Role.RECEIVE:
            return f"{self.name}-down"
        return f"{self.name}-up" if self.near.same_as(self.far) else f"{self.name}-src"

    @property
    def renewable(self) -> bool:
        """Whether new tokens can be made for all bots."""
        return all(place.access.makes_tokens for place in (self.near, self.far))

    def renewed(self) -> "RelaySettings":
        """The same, with tokens made here where that is possible: one given may have expired."""
        return replace(self, token="") if self.renewable else self


# The clock is for speed control, in seconds.
OpenEncoder: TypeAlias = Callable[[RelayOptions, Clock], VideoEncoder]
# For a stream of that tenant.
OpenRestorer: TypeAlias = Callable[[str], Restorer]


@final
class RelayJob:
    """
    Args:
        clock: seconds, monotonic.
        told: takes a line for people whenever something happens to a room.
        encoder: opens the video encoder of a stream; None: `Uplink` does.
        decoder: opens the decoder of a stream.
        restorer: makes the network of a stream whose decoder has none; each relay is a tenant.
        native: opens the encoder of a restored track.
        timeline: takes the spans of every frame.

    Raises:
        InputError: no token can be made.
        UnsupportedError: the backend is not installed.
    """

    def __init__(
        self,
        settings: RelaySettings,
        *,
        version: str,
        clock: Callable[[], float],
        told: Callable[[str], None] = lambda text: None,
        encoder: OpenEncoder | None = None,
        decoder: Callable[[], VideoDecoder] = open_decoder,
        restorer: OpenRestorer | None = None,
        native: OpenNative = open_native,
        timeline: Timeline = NO_TIMELINE,
    ) -> None:
        self._timeline = timeline
        self._settings = settings
        self._version = version
        self._told = told
        self.uplink: Uplink | None = None
        self.downlink: Downlink | None = None
        self._crew = Crew([])
        if settings.role in (Role.SEND, Role.BOTH):
            self._add_uplink(clock, encoder)
        if settings.role in (Role.RECEIVE, Role.BOTH):
            self._add_downlink(decoder, restorer, native)

    @property
    def bots(self) -> list[Bot]:
        return self._crew.bots

    @property
    def connected(self) -> bool:
        """Whether every bot is in its room."""
        return all(bot.state.connected for bot in self.bots)

    async def run(self) -> None:
        """Until `leave`, or until a bot cannot be in its room any more.

        Raises:
            RoomError: why it cannot.
        """
        await self._crew.run()

    def leave(self) -> None:
        self._crew.leave()

    def want_key(self, track: str | None = None) -> int:
        """Make a stream, or all of them, decodable anew; how many it was.

        Args:
            track: sid of an original track where this end sends, of a data track where it receives.
        """
        ends = (end for end in (self.uplink, self.downlink) if end is not None)
        return sum(end.want_key(track) for end in ends)

    def force_rung(self, name: str | None, track: str | None = None) -> int:
        """Hold a video stream, or all of them, on a rung of their ladder, or let them find their
        own; how many it was.

        Args:
            track: sid of an original track.

        Raises:
            KeyError: no rung has that name.
        """
        if self.uplink is None:
            return 0
        wanted = [sid for sid in self.uplink.streams if track in (None, sid)]
        return sum(self.uplink.force_rung(sid, name) for sid in wanted)

    def status(self) -> dict[str, Any]:
        """Everything that is known of it, as plain values."""
        return status(self)

    def _add_uplink(self, clock: Callable[[], float], encoder: OpenEncoder | None) -> None:
        settings = self._settings
        sender = self._bot(settings.far, "up", publishes=True)
        source = sender
        if not settings.near.same_as(settings.far):
            source = self._bot(settings.near, "src", publishes=False)
        options = settings.options
        open_for = None if encoder is None else lambda changed: encoder(changed, clock)
        uplink = Uplink(
            source.room,
            sender.room,
            options,
            open_for=open_for,
            clock=clock,
            timeline=self._timeline,
        )
        source.add(Duty(changed=uplink.changed))
        sender.add(Duty(control=uplink.control))
        self.uplink = uplink
        self._crew.work.append(uplink.run)

    def _add_downlink(
        self,
        decoder: Callable[[], VideoDecoder],
        restorer: OpenRestorer | None,
        native: OpenNative,
    ) -> None:
        settings = self._settings
        tenant = f"{settings.far.room}/{settings.name}"
        receiver = self._bot(settings.far, "down", publishes=True)
        # Next to our own sender nobody else's streams are meant.
        ours = frozenset({f"{settings.name}-up"}) if settings.role is Role.BOTH else frozenset()
        downlink = Downlink(
            receiver.room,
            receiver.room,
            codec=settings.codec,
            fps=settings.options.fps,
            identities=ours,
            decoder=decoder,
            restorer=None if restorer is None else partial(restorer, tenant),
            native=native,
            timeline=self._timeline,
        )
        receiver.add(Duty(changed=downlink.changed, control=downlink.control))
        self.downlink = downlink
        self._crew.work.append(downlink.run)

    def _bot(self, place: Place, role: str, *, publishes: bool) -> Bot:
        identity = f"{self._settings.name}-{role}"
        token = self._settings.token if identity == self._settings.first_identity else ""
        token = token or place.access.token_for(place.room, identity, publishes=publishes)
        told = partial(self._tell, f"{place.room}: ")
        bot = Bot(
            lambda listener: open_room(
                self._settings.backend, place.access.url, token, listener, version=self._version
            ),
            told=told,
        )
        self._crew.bots.append(bot)
        return bot

    def _tell(self, where: str, text: str) -> None:
        self._told(where + text)
