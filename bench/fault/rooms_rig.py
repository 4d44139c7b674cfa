"""Engines of their own processes in rooms of a LiveKit server, all on this machine."""

import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from auralink.bench.fault.control_rig import MAIN, Engine, engine, token
from auralink.bench.fault.servers import RedisServer, free_port
from auralink.codecs.errors import InputError, UnsupportedError
from auralink.engine.rehearsal.server import KEY, SECRET, LocalServer

JOBS: Final = "/api/v1/aic/jobs"
# aioice never offers loopback, which is all that the server listens on.
_PROGRAM: Final = (
    "from auralink.engine.room.compat import use_addresses; use_addresses(['127.0.0.1']); " + MAIN
)
_LIMIT_S: Final = 30.0


@dataclass(slots=True)
class Rooms:
    """
    Attributes:
        folder: of what engines share: their records.
        redis: through which they share jobs.
    """

    livekit: LocalServer
    folder: Path
    redis: RedisServer | None = None
    engines: list[Engine] = field(default_factory=list)
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def start(self, **more: str) -> Engine:
        """One more engine."""
        environment = {
            "LIVEKIT_URL": self.livekit.url,
            "LIVEKIT_API_KEY": KEY,
            "LIVEKIT_API_SECRET": SECRET,
            "DATABASE_URL": f"sqlite:///{self.folder / 'records.db'}",
            "AURALINK_ENGINE__DRAIN_S": "0",
        }
        if self.redis is not None:
            environment["REDIS_URL"] = self.redis.url
        one = self.stack.enter_context(
            engine("--no-grpc", program=_PROGRAM, **(environment | more))
        )
        if not one.until("ready"):
            raise UnsupportedError(f"auralink serve did not start: {one.lines[-500:]}")
        return one


@contextlib.contextmanager
def rooms(*, shared: bool) -> Iterator[Rooms]:
    """
    Raises:
        InputError: a server is not installed.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        try:
            livekit = LocalServer("127.0.0.1", Path(folder) / "livekit", free_port())
        except UnsupportedError as missing:
            raise InputError(str(missing)) from missing
        livekit.start()
        stack.callback(livekit.stop)
        redis = None
        if shared:
            redis = RedisServer()
            redis.start()
            stack.callback(redis.remove)
        yield Rooms(livekit, Path(folder), redis, stack=stack)


def start_job(one: Engine, job: str, **wanted: str) -> int:
    """The status of the answer."""
    body = json.dumps({"id": job, "room": f"room-{job}"} | wanted).encode()
    return one.post(JOBS, body, **_admin()).status


def stop_job(one: Engine, job: str) -> None:
    one.send(
        f"DELETE {JOBS}/{job} HTTP/1.1\r\nHost: e\r\nConnection: close\r\n"
        f"Authorization: {_admin()['Authorization']}\r\n\r\n".encode()
    )


def job_of(one: Engine, job: str) -> Mapping[str, Any]:
    """What the engine says of it; empty: it knows none of that name, or does not answer."""
    try:
        answer = one.ask(f"{JOBS}/{job}", **_admin())
    except TimeoutError:
        return {}
    found: Mapping[str, Any] = json.loads(answer.body) if answer.status == 200 else {}
    return found


def in_rooms(job: Mapping[str, Any]) -> bool:
    status = job.get("status") or {}
    places = status.get("rooms", ())
    return bool(places) and all(room["connected"] for room in places)


def losses(job: Mapping[str, Any]) -> int:
    status = job.get("status") or {}
    return sum(room["losses"] for room in status.get("rooms", ()))


def waited_s(holds: Callable[[], bool], limit_s: float = _LIMIT_S) -> float | None:
    """Seconds until something holds; None: it never did."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < limit_s:
        if holds():
            return time.monotonic() - began_s
        time.sleep(0.05)
    return None


def _admin() -> dict[str, str]:
    return {"Authorization": f"Bearer {token()}"}
