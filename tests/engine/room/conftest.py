"""Rooms on a real server."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import aioice.ice
import pytest

from .server import Server, find_server


@pytest.fixture(scope="session")
def livekit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = find_server()
    if path is None:
        pytest.skip("no livekit-server: `make tools` builds one (needs Go), or set LIVEKIT_SERVER")
    server = Server(path, tmp_path_factory.mktemp("livekit"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """One that the test may kill."""
    path = find_server()
    if path is None:
        pytest.skip("no livekit-server: `make tools` builds one (needs Go), or set LIVEKIT_SERVER")
    server = Server(path, tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def room() -> str:
    return f"room-{uuid.uuid4().hex[:8]}"


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice never offers 127.0.0.1, which is all that the server listens on."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
