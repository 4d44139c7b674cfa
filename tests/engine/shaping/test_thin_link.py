"""The real thing, in real namespaces: measured by plain UDP from outside of our code."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from auralink.codecs.errors import UnsupportedError
from auralink.engine.link.netem import LinkSettings
from auralink.engine.shaping import kernel
from auralink.engine.shaping.thin_link import ThinLink, thin_link
from auralink.engine.shaping.wire import Shape

ECHO = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.77.0.2", 5000))
print("ready", flush=True)
while True:
    data, address = s.recvfrom(2000)
    s.sendto(data[:20], address)
"""
PROBE = """
import json, select, socket, sys, time
count, size, gap_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("10.77.0.2", 5000))
s.setblocking(False)
sent, back, start = {}, [], time.monotonic()
for number in range(count):
    sent[number] = time.monotonic()
    s.send(number.to_bytes(4, "big") + bytes(size - 4))
    until = start + (number + 1) * gap_s + (1.0 if number == count - 1 else 0)
    while (left := until - time.monotonic()) > 0:
        if select.select([s], [], [], left)[0]:
            number_back = int.from_bytes(s.recv(2000)[:4], "big")
            back.append((number_back, time.monotonic() - sent[number_back], time.monotonic()))
print(json.dumps({"trips": [trip for _, trip, _ in back], "at": [at for _, _, at in back]}))
"""


@pytest.fixture(scope="module")
def root() -> None:
    try:
        kernel.check()
    except UnsupportedError as reason:
        pytest.skip(f"no thin link here: {reason}")


def probe(link: ThinLink, count: int, size: int, gap_s: float) -> dict[str, list[float]]:
    """Round trips and arrivals, seconds, of datagrams of ``size`` bytes that are echoed short."""
    command = link.inside("far", [sys.executable, "-c", ECHO])
    with subprocess.Popen(command, stdout=subprocess.PIPE) as echo:
        try:
            assert echo.stdout is not None
            assert echo.stdout.readline() == b"ready\n"
            words = [sys.executable, "-c", PROBE, str(count), str(size), str(gap_s)]
            done = subprocess.run(link.inside("near", words), capture_output=True, check=True)
        finally:
            echo.kill()
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


@pytest.mark.usefixtures("root")
def test_delay_is_felt_by_an_ordinary_program() -> None:
    with thin_link(shape=Shape.same(LinkSettings(delay_ms=40))) as link:
        trips = sorted(probe(link, 40, 100, 0.005)["trips"])

    assert len(trips) == 40
    assert trips[0] >= 0.080
    assert trips[10] < 0.160  # the machine may be busy


@pytest.mark.usefixtures("root")
def test_loss_is_the_asked_share_and_the_counts_say_which_way() -> None:
    with thin_link(shape=Shape(there=LinkSettings(loss=0.2), back=LinkSettings())) as link:
        trips = probe(link, 600, 100, 0.001)["trips"]
        carried = link.carried

    assert carried.there.sent == 600
    assert len(trips) == 600 - carried.there.lost
    assert 0.15 < carried.there.lost / 600 < 0.25
    assert carried.back.lost == 0


@pytest.mark.usefixtures("root")
def test_rate_counts_headers_and_the_queue_is_bounded() -> None:
    settings = LinkSettings(rate_bps=400_000, queue_ms=200)
    with thin_link(shape=Shape.narrow_there(settings)) as link:
        found = probe(link, 150, 972, 0.005)  # 1.6 Mbit/s with 28 bytes of headers
        carried = link.carried

    at = found["at"]
    rate_bps = (len(at) - 1) * 8 * 1000 / (at[-1] - at[0])
    assert rate_bps == pytest.approx(400_000, rel=0.1)
    assert carried.there.dropped > 50
    assert carried.there.sent_bytes == 150 * 1000


@pytest.mark.usefixtures("root")
def test_nothing_is_left_when_the_owner_is_killed(tmp_path: Path) -> None:
    owner = f"""
import subprocess, time
from pathlib import Path
from auralink.engine.shaping.thin_link import thin_link
with thin_link() as link:
    inner = subprocess.Popen(link.inside("near", ["sleep", "60"]))
    Path({str(tmp_path / "pids")!r}).write_text(f"{{link._process.pid}} {{inner.pid}}")
    print("up", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", owner], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
        process.send_signal(signal.SIGKILL)

    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "a process of the link is still there"
        time.sleep(0.01)


@pytest.mark.usefixtures("root")
def test_a_program_that_is_not_there_is_named() -> None:
    with thin_link() as link:
        done = subprocess.run(link.inside("near", ["no-such-thing"]), capture_output=True)

    assert done.returncode == 127
    assert b"no-such-thing" in done.stderr


def test_without_root_the_reason_and_the_remedy_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(UnsupportedError, match="root") as refused, thin_link():
        pass

    assert "run as root" in refused.value.__notes__


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    return False
