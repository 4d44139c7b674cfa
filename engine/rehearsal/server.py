"""A livekit-server of this machine: found, set up for one address, started and ended."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

from livekit.api import AccessToken, VideoGrants

from auralink.codecs.errors import UnsupportedError

KEY: Final = "devkey"
SECRET: Final = "a-secret-of-at-least-32-characters!"  # of a server that lives for a minute
PORT: Final = 7880
_READY_S: Final = 20.0
_LISTENING: Final = b"starting LiveKit server"  # in its log, once its ports are open
_BUILT: Final = Path(".tools") / "bin" / "livekit-server"

Inside = Callable[[Sequence[str]], list[str]]


def find_server() -> str:
    """``$LIVEKIT_SERVER``, what ``make tools`` built, or the one on the path.

    Raises:
        UnsupportedError: there is none.
    """
    built = (Path.cwd() / _BUILT, Path(__file__).resolve().parents[2] / _BUILT)
    for path in (os.environ.get("LIVEKIT_SERVER"), *map(str, built)):
        if path and Path(path).is_file():
            return path
    if found := shutil.which("livekit-server"):
        return found
    error = UnsupportedError("no livekit-server on this machine")
    error.add_note(
        "`make tools` builds one (needs Go), livekit.io has binaries; then put it on the PATH or "
        "name it in LIVEKIT_SERVER"
    )
    raise error


def settings(address: str, port: int, media_port: int) -> dict[str, object]:
    """For clients that reach the server at one address and nowhere else."""
    return {
        "port": port,
        "bind_addresses": [address],
        "keys": {KEY: SECRET},
        "logging": {"level": "info"},
        "rtc": {
            "udp_port": media_port,
            "tcp_port": 0,
            "use_external_ip": False,
            "node_ip": address,
            "enable_loopback_candidate": address.startswith("127."),
            "ips": {"includes": [f"{address}/32"]},
            "allow_tcp_fallback": False,
            "stun_servers": [f"{address}:3478"],  # or every client is told to ask public ones
        },
        # Agents alone keep no room open, and on a busy machine the next viewer takes its time.
        "room": {"auto_create": True, "empty_timeout": 20, "departure_timeout": 600},
    }


@final
@dataclass(slots=True)
class LocalServer:
    """
    Attributes:
        folder: for its settings and its log.
        inside: the command that runs a command where the server shall be.
    """

    address: str
    folder: Path
    port: int = PORT
    inside: Inside = list
    path: str = field(default_factory=find_server)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"ws://{self.address}:{self.port}"

    def token(self, room: str, identity: str) -> str:
        """For an ordinary participant: a room of agents alone counts as empty and is closed."""
        grants = VideoGrants(room_join=True, room=room)
        signed = AccessToken(KEY, SECRET).with_identity(identity).with_grants(grants)
        return str(signed.to_jwt())

    @property
    def pid(self) -> int:
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        """
        Raises:
            UnsupportedError: it does not come up.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "livekit.yaml"
        file.write_text(json.dumps(settings(self.address, self.port, self.port + 2)))
        log = self.folder / "livekit.log"
        before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as sink:
            self._process = subprocess.Popen(
                self.inside([self.path, "--config", str(file)]), stdout=sink, stderr=sink
            )
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline and self._process.poll() is None:
            # It may be in another namespace, where no request of ours gets.
            if log.read_bytes()[before:].find(_LISTENING) >= 0:
                return
            time.sleep(0.02)
        self.stop()
        told = log.read_text("utf-8", "replace").strip().splitlines()[-1:] or ["nothing"]
        raise UnsupportedError(f"livekit-server does not answer at {self.url}; it says: {told[0]}")

    def stop(self) -> None:
        """At once, as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
