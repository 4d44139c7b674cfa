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
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from auralink.codecs.errors import UnsupportedError
from auralink.engine.service.auth.principal import Principal, Role
from auralink.engine.service.auth.tokens import sign

SECRET: Final = "canary-of-the-token-secret-0123456789"
RECEIVE_S: Final = 1.0  # in which a request must arrive at the engines of these trials
MAIN: Final = "from auralink.engine.cli.main import main; main()"
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
    lines: str = ""
    host: str = "127.0.0.1"
    _said: threading.Condition = field(default_factory=threading.Condition)
    _silent: bool = False

    def ask(self, path: str = "/liveness", /, **headers: str) -> Answer:
        return self._ask("GET", path, b"", headers)

    def post(self, path: str, body: bytes, /, **headers: str) -> Answer:
        sent = {"Content-Length": str(len(body)), "Content-Type": "application/json"}
        return self._ask("POST", path, body, sent | headers)

    def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        fields = "".join(
            f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()
        )
        head = f"{method} {path} HTTP/1.1\r\nHost: e\r\nConnection: close\r\n{fields}\r\n"
        return self.send(head.encode("utf-8", "surrogateescape") + body)

    def send(self, data: bytes, *more: bytes, pause_s: float = 0.0) -> Answer:
        """Send pieces with pauses between them, until the other side has enough."""
        began_s = time.monotonic()
        found = b""
        try:
            with socket.create_connection((self.host, self.port), timeout=_LIMIT_S) as line:
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
        """Whether it said so, sooner or later; False: it has ended."""
        with self._said:
            self._said.wait_for(lambda: word in self.lines or self._silent)
            return word in self.lines

    def listen(self) -> None:
        """Read what it says until it has ended: a full pipe would stop an engine."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._said:
                self.lines += line
                if found := re.search(r"HTTP on https?://\S+:(\d+)", line):
                    self.port = int(found[1])
                self._said.notify_all()
        with self._said:
            self._silent = True
            self._said.notify_all()

    def end(self, *, hurry: bool = False) -> tuple[int, float]:
        """Exit code, and seconds from the signal."""
        began_s = time.monotonic()
        for _ in range(2 if hurry else 1):
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
        return self.ended(), time.monotonic() - began_s

    def ended(self) -> int:
        """The exit code; -1: it did not end."""
        try:
            code = self.process.wait(2 * _LIMIT_S)
        except subprocess.TimeoutExpired:
            return -1
        with self._said:
            self._said.wait_for(lambda: self._silent)
        return code


@contextlib.contextmanager
def engine(*words: str, program: str = MAIN, **environment: str) -> Iterator[Engine]:
    """`auralink serve`, not waited for; ended, if need be by force.

    Args:
        program: in Python, instead of the command line's own.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    kept |= {
        "AURALINK_AUTH__SECRET": SECRET,
        "AURALINK_HTTP__PORT": "0",
        "AURALINK_HTTP__RECEIVE_S": str(RECEIVE_S),
        "AURALINK_HTTP__CONNECTIONS": "100",
        "AURALINK_LIMITS__ATTEMPTS_PER_MINUTE": "10000",
        "CORS_ORIGINS": "https://console.example",
        "AURALINK_LIMITS__REQUESTS_PER_MINUTE": "100000",
    }
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", program, "serve", *words],
            cwd=folder,
            env=kept | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        one = Engine(process)
        listening = threading.Thread(target=one.listen, name="listening")
        listening.start()
        try:
            yield one
        finally:
            process.kill()
            process.wait()
            listening.join()
            assert process.stderr is not None
            process.stderr.close()


@contextlib.contextmanager
def ready_engine() -> Iterator[Engine]:
    """One for all trials of a fault."""
    with engine("--no-grpc") as one:
        if not one.until("ready"):
            raise UnsupportedError(f"auralink serve did not start: {one.lines[-500:]}")
        yield one


def token(role: Role = Role.ADMIN, *, subject: str = "ann", now: float | None = None) -> str:
    """A good one, for ten minutes."""
    return sign(
        Principal(subject=subject, tenant="blue", role=role),
        kid="main",
        algorithm="HS256",
        material=SECRET.encode(),
        issuer="auralink",
        audience="auralink-aic",
        now=time.time() if now is None else now,
        lifetime_s=600,
    )


def idle(port: int, count: int) -> Sequence[socket.socket]:
    """Connections on which nothing is said."""
    return [socket.create_connection(("127.0.0.1", port), timeout=_LIMIT_S) for _ in range(count)]


def problem_of(answer: Answer) -> dict[str, object]:
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
