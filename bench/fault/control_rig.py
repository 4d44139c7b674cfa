"""An engine served in a process of its own, and bytes to send it."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from auralink.codecs.errors import UnsupportedError

SECRET: Final = "canary-of-the-token-secret-0123456789"
RECEIVE_S: Final = 1.0  # in which a request must arrive at the engines of these trials
_PROGRAM: Final = (sys.executable, "-c", "from auralink.engine.cli.main import main; main()")
_LIMIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Status 0: closed without a word."""

    status: int
    head: bytes
    body: bytes
    ms: float


@dataclass(slots=True)
class Engine:
    process: subprocess.Popen[str]
    port: int = 0
    grpc_port: int = 0
    lines: str = ""

    def ask(self, path: str = "/liveness", **headers: str) -> Answer:
        fields = "".join(
            f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()
        )
        head = f"GET {path} HTTP/1.1\r\nHost: e\r\nConnection: close\r\n{fields}\r\n"
        return self.send(head.encode("utf-8", "surrogateescape"))

    def send(self, data: bytes, *more: bytes, pause_s: float = 0.0) -> Answer:
        """Send pieces with pauses between them, until the other side has enough."""
        began_s = time.monotonic()
        found = b""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=_LIMIT_S) as line:
                line.sendall(data)
                for piece in more:
                    line.settimeout(pause_s)
                    with contextlib.suppress(TimeoutError):
                        found += line.recv(65_536)
                        break
                    line.sendall(piece)
                line.settimeout(_LIMIT_S)
                while piece := line.recv(65_536):
                    found += piece
        except TimeoutError:
            raise
        except OSError:
            pass  # it hung up while we sent: what it said may be lost
        head, _, body = found.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/1.1 ") else 0
        return Answer(status, head, body, (time.monotonic() - began_s) * 1e3)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None and self.ask().status == 200

    def until(self, word: str) -> bool:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines += line
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
            if word in line:
                return True
        return False

    def end(self, *, hurry: bool = False) -> tuple[int, float]:
        """Exit code, and seconds from the signal."""
        began_s = time.monotonic()
        for _ in range(2 if hurry else 1):
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
        return self.ended(), time.monotonic() - began_s

    def ended(self) -> int:
        assert self.process.stderr is not None
        self.lines += self.process.stderr.read()
        return self.process.wait(_LIMIT_S)


@contextlib.contextmanager
def engine(*words: str, **environment: str) -> Iterator[Engine]:
    """`auralink serve`, not waited for; ended, if need be by force."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    kept |= {
        "AURALINK_AUTH__SECRET": SECRET,
        "AURALINK_HTTP__PORT": "0",
        "AURALINK_HTTP__RECEIVE_S": str(RECEIVE_S),
        "AURALINK_HTTP__CONNECTIONS": "100",
        "AURALINK_LIMITS__ATTEMPTS_PER_MINUTE": "10000",
        "CORS_ORIGINS": "https://console.example",
    }
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [*_PROGRAM, "serve", *words],
            cwd=folder,
            env=kept | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield Engine(process)
        finally:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


@contextlib.contextmanager
def ready_engine() -> Iterator[Engine]:
    """One for all trials of a fault."""
    with engine("--no-grpc") as one:
        if not one.until("ready"):
            raise UnsupportedError(f"auralink serve did not start: {one.lines[-500:]}")
        yield one


def idle(port: int, count: int) -> Sequence[socket.socket]:
    """Connections on which nothing is said."""
    return [socket.create_connection(("127.0.0.1", port), timeout=_LIMIT_S) for _ in range(count)]


def problem_of(answer: Answer) -> dict[str, object]:
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
