"""Rooms on a real server."""

import socket
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


def outside_address() -> str | None:
    """An address of this machine that is not loopback; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.200", 9))
        except OSError:
            return None
        address: str = one.getsockname()[0]
    return None if address.startswith("127.") else address


@pytest.fixture(scope="session")
def far_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One at an address that LiveKit's own SDK offers, too: it never offers loopback."""
    path, address = find_server(), outside_address()
    if path is None:
        pytest.skip("no livekit-server: `make tools` builds one (needs Go), or set LIVEKIT_SERVER")
    if address is None:
        pytest.skip("this machine has loopback only, where LiveKit's SDK does not connect")
    server = Server(path, tmp_path_factory.mktemp("livekit"), address=address)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def this_address(far_server: Server, loopback: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own client next to `far_server`."""
    monkeypatch.setattr(
        aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [far_server.address]
    )
