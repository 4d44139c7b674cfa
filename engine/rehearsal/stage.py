"""Who is where: two sites with a server each, and the processes that act there."""

import itertools
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, final

import psutil

from auralink.codecs.errors import UnsupportedError
from auralink.engine.rehearsal.people import Person
from auralink.engine.rehearsal.pictures import TRACK, Script
from auralink.engine.rehearsal.server import KEY, SECRET, LocalServer
from auralink.engine.rehearsal.shaped_relay import Order, write_order
from auralink.engine.shaping.thin_link import ADDRESS, Side, ThinLink, thin_link

NEAR_ROOM: Final = "near-room"
FAR_ROOM: Final = "far-room"
RESTORED_TRACK: Final = f"aic/publisher/{TRACK}"
VP8_BPS: Final = 450_000  # LiveKit's own preset for 360 lines


class Sites(Protocol):
    """Where processes run."""

    def inside(self, side: Side, command: Sequence[str]) -> list[str]: ...


@final
class OneSite:
    """Everybody on this machine's own network."""

    def inside(self, side: Side, command: Sequence[str]) -> list[str]:
        return list(command)


@final
@dataclass(slots=True)
class Stage:
    """
    Attributes:
        thin: None where nothing but a relay's own packets can be shaped.
        folder: for everything that the processes write.
    """

    sites: Sites
    thin: ThinLink | None
    near: LocalServer
    far: LocalServer
    script: Script
    folder: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def link(self) -> ThinLink:
        """Of a stage with two sites."""
        assert self.thin is not None
        return self.thin

    def publisher(
        self, server: LocalServer, room: str, *, bitrate_bps: int = VP8_BPS
    ) -> tuple[Person, Path]:
        """At the near site; with the log that it leaves."""
        log = self._file("published.txt")
        width, height = self.script.size
        words = [
            "auralink.engine.rehearsal.publisher",
            str(self.script.path),
            *map(str, (width, height, self.script.fps, bitrate_bps)),
            str(log),
        ]
        return self._sdk("publisher", "near", server, room, words), log

    def viewer(
        self, side: Side, room: str, track: str, *, keep: bool = True
    ) -> tuple[Person, Path, Path]:
        """At the server of a site; with its log and its pictures."""
        log, pictures = self._file("seen.txt"), self._file("pictures.i420")
        sink = str(pictures) if keep else "-"
        words = [
            "auralink.engine.rehearsal.viewer",
            *(track, str(self.script.size[0]), sink, str(log)),
        ]
        server = self.near if side == "near" else self.far
        name = f"viewer-{next(self._numbers)}"
        return self._sdk(name, side, server, room, words), log, pictures

    def half(self, role: str, side: Side, rate_bps: int, options: Sequence[str] = ()) -> Person:
        """Half of a relay, run as people run it."""
        words = [
            *(sys.executable, "-c", "from auralink.engine.cli.main import main; main()"),
            *("relay", NEAR_ROOM, FAR_ROOM, "--role", role, "--rate", str(rate_bps), "--json"),
            *options,
        ]
        near = self.near if role == "send" else self.far
        environment = {
            "LIVEKIT_URL": near.url,
            "LIVEKIT_TO_URL": self.far.url,
            **{f"{prefix}_API_KEY": KEY for prefix in ("LIVEKIT", "LIVEKIT_TO")},
            **{f"{prefix}_API_SECRET": SECRET for prefix in ("LIVEKIT", "LIVEKIT_TO")},
        }
        return Person(f"relay {role}", self.sites.inside(side, words), environment)

    def shaped_relay(self, order: Order) -> Person:
        """Both halves at once, with an emulated link between them."""
        words = [sys.executable, "-m", "auralink.engine.rehearsal.shaped_relay", write_order(order)]
        return Person("relay", words, {})

    def _sdk(
        self, name: str, side: Side, server: LocalServer, room: str, words: Sequence[str]
    ) -> Person:
        token = server.token(room, name)
        environment = {"LIVEKIT_URL": server.url, "LIVEKIT_TOKEN": token}
        command = self.sites.inside(side, [sys.executable, "-m", *words])
        return Person(name, command, environment)

    def _file(self, name: str) -> Path:
        return self.folder / f"{next(self._numbers)}-{name}"


@contextmanager
def stage(script: Script, folder: Path, *, seed: int = 1) -> Iterator[Stage]:
    """Namespaces, a link between them that only carries so far, a server at each end.

    Raises:
        UnsupportedError: no root, no TUN devices, or no livekit-server.
    """
    with thin_link(seed=seed) as link:
        servers = {
            side: LocalServer(
                address=ADDRESS[side],
                folder=folder / f"server-{side}",
                inside=lambda command, side=side: link.inside(side, command),  # type: ignore[misc]
            )
            for side in ADDRESS
        }
        try:
            for server in servers.values():
                server.start()
            yield Stage(link, link, servers["near"], servers["far"], script, folder)
        finally:
            for server in servers.values():
                server.stop()


@contextmanager
def plain_stage(script: Script, folder: Path) -> Iterator[Stage]:
    """One server on this machine's own network, and no shaping: what needs no root.

    Raises:
        UnsupportedError: no network but loopback, or no livekit-server.
    """
    server = LocalServer(address=own_address(), folder=folder / "server", port=free_port())
    try:
        server.start()
        yield Stage(OneSite(), None, server, server, script, folder)
    finally:
        server.stop()


def own_address() -> str:
    """An IPv4 address of this machine by which the official SDK reaches a server on it.

    Raises:
        UnsupportedError: only loopback, which the SDK does not use.
    """
    for name, addresses in psutil.net_if_addrs().items():
        for one in addresses:
            if one.family == socket.AF_INET and name != "lo" and not one.address.startswith("127."):
                return str(one.address)
    error = UnsupportedError("no network but loopback, where the official SDK does not connect")
    error.add_note("as root a network is made for the purpose")
    raise error


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("", 0))
        return int(one.getsockname()[1])
