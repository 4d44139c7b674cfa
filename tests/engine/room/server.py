"""A real livekit-server on free loopback ports, and tokens for it."""

import datetime
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from livekit import api

KEY, SECRET = "devkey", "a-secret-of-at-least-32-characters!"
ROOT = Path(__file__).parents[3]


def find_server() -> str | None:
    """``$LIVEKIT_SERVER``, what ``make tools`` built, or the one on the path."""
    built = ROOT / ".tools" / "bin" / "livekit-server"
    for path in (os.environ.get("LIVEKIT_SERVER"), str(built)):
        if path and Path(path).is_file():
            return path
    return shutil.which("livekit-server")


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@dataclass
class Server:
    path: str
    folder: Path
    port: int = 0
    webhooks: str = ""  # where events are told
    address: str = "127.0.0.1"
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"ws://{self.address}:{self.port}"

    def start(self) -> None:
        self.port = self.port or free_port(socket.SOCK_STREAM)
        config = {
            "port": self.port,
            "bind_addresses": [self.address],
            "keys": {KEY: SECRET},
            "logging": {"level": "warn"},
            "rtc": {
                "udp_port": free_port(socket.SOCK_DGRAM),
                "tcp_port": 0,
                "use_external_ip": False,
                "node_ip": self.address,
                "enable_loopback_candidate": True,
                "ips": {"includes": [f"{self.address}/32"]},
                "allow_tcp_fallback": False,
                "stun_servers": ["127.0.0.1:3478"],  # or every client is told to ask public ones
            },
            "room": {"auto_create": True, "empty_timeout": 10, "departure_timeout": 5},
        }
        if self.webhooks:
            config["webhook"] = {"api_key": KEY, "urls": [self.webhooks]}
        file = self.folder / "livekit.yaml"
        file.write_text(json.dumps(config))
        log = (self.folder / "livekit.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [self.path, "--config", str(file)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://{self.address}:{self.port}", timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"livekit-server does not answer: {log.name}")

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait(10)


def token(identity: str, room: str, *, ttl_s: float = 600, secret: str = SECRET) -> str:
    grants = api.VideoGrants(room_join=True, room=room)
    signed = (
        api.AccessToken(KEY, secret)
        .with_identity(identity)
        .with_grants(grants)
        .with_ttl(datetime.timedelta(seconds=ttl_s))
    )
    jwt: str = signed.to_jwt()
    return jwt
