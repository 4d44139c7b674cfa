"""Encoders in worker processes: same bytes, and no crash, hang or kill reaches the caller."""

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest

from auralink.codecs.base.aom import AomAv1
from auralink.codecs.base.protocol import Order
from auralink.codecs.errors import EncoderError, InputError, UnsupportedError
from auralink.codecs.frame import Frame, blank
from auralink.codecs.video.protocol import Outcome, Wish
from auralink.engine.inference.pool import PoolSettings, WorkerPool
from auralink.engine.inference.remote import RemoteEncoder, RemoteVideoEncoder

from .doubles import (
    CRASH,
    EXIT,
    FAIL,
    HANG,
    LARGE,
    REFUSE,
    Keeper,
    Moody,
    crashing,
    hanging,
    unavailable,
)
from .processes import is_running, shared_segments, wait_for

FRAME = blank(64, 48)

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="speaks of signals"),
    pytest.mark.usefixtures("leaves_nothing_behind"),
]


@pytest.fixture(scope="module")
def moody(leaves_nothing_behind: None) -> Iterator[RemoteEncoder]:
    """One for all: it has to live through every failure."""
    pool = WorkerPool(PoolSettings(workers=1, spares=0, most_backoff_s=0))
    encoder = RemoteEncoder(Moody, host=pool)
    yield encoder
    encoder.close()
    pool.close()


def noise(count: int, size: tuple[int, int]) -> list[Frame]:
    rng = np.random.default_rng(5)
    width, height = size
    chroma = (height // 2, width // 2)
    return [
        Frame(
            y=rng.integers(0, 255, (height, width), np.uint8),
            u=rng.integers(0, 255, chroma, np.uint8),
            v=rng.integers(0, 255, chroma, np.uint8),
            pts_us=i,
        )
        for i in range(count)
    ]


def test_gives_the_bytes_that_the_encoder_gives_in_process() -> None:
    orders = [
        Order(number=i, quantizer=30 + i, predict_from=frozenset({0, 1, 2}) if i == 6 else None)
        for i in range(10)
    ]
    frames = noise(10, (96, 64))
    factory = partial(AomAv1, (96, 64), speed=9)
    local, remote = factory(), RemoteEncoder(factory)

    expected = [local.encode(f, order) for f, order in zip(frames, orders, strict=True)]
    units = [remote.encode(f, order) for f, order in zip(frames, orders, strict=True)]

    local.close()
    remote.close()
    assert units == expected
    assert remote.name == f"{local.name}, own process"
    assert (remote.codec, remote.capabilities) == (local.codec, local.capabilities)
    assert remote.hierarchy == local.hierarchy


def test_frames_of_any_size_cross_without_gaps(moody: RemoteEncoder) -> None:
    for i, size in enumerate([(64, 48), (640, 360), (15, 9), (1280, 720)]):
        (frame,) = noise(1, size) if size[0] % 2 == 0 else [blank(*size, luma=7)]

        unit = moody.encode(frame.at(i), Order(number=i))

        assert list(unit.data) == [int(plane[-1, -1]) for plane in frame.planes]
        assert unit.quantizer == i


def test_units_of_any_size_come_back(moody: RemoteEncoder) -> None:
    assert len(moody.encode(FRAME, Order(number=LARGE)).data) == 3_000_000


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (CRASH, r"crashed while coding a frame: signal 11 \(SIGSEGV\)"),
        (HANG, r"hung while coding a frame: no answer in 1 s"),
        (EXIT, "ended while coding a frame with code 3"),
    ],
)
def test_a_failure_is_named_and_the_next_frame_is_a_key_from_a_new_worker(
    moody: RemoteEncoder, number: int, message: str
) -> None:
    moody.encode(FRAME, Order(number=0))
    old = moody.pid
    assert old is not None

    with pytest.raises(EncoderError, match=message):
        moody.encode(FRAME, Order(number=number))

    assert moody.pid is None
    wait_for(lambda: not is_running(old))  # killed and reaped
    first, second = (moody.encode(FRAME, Order(number=i)) for i in (7, 8))
    assert (first.number, first.key, second.key) == (7, True, False)


def test_an_exception_costs_the_encoder_and_not_the_worker(moody: RemoteEncoder) -> None:
    moody.encode(FRAME, Order(number=0))
    worker = moody.pid

    with pytest.raises(EncoderError, match="ZeroDivisionError in the worker: oops"):
        moody.encode(FRAME, Order(number=FAIL))

    assert moody.encode(FRAME, Order(number=1)).key
    assert moody.pid == worker


def test_errors_of_ours_keep_their_class(moody: RemoteEncoder) -> None:
    with pytest.raises(InputError, match="number 104 is not liked"):
        moody.encode(FRAME, Order(number=REFUSE))


def test_a_worker_killed_between_frames_costs_no_frame(moody: RemoteEncoder) -> None:
    moody.encode(FRAME, Order(number=0))
    old = moody.pid
    assert old is not None
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: moody.pid is None)

    assert moody.encode(FRAME, Order(number=1)).key
    assert moody.pid not in (None, old)


def test_a_worker_killed_during_a_frame_is_noticed_at_once() -> None:
    encoder = RemoteEncoder(Moody, deadline_s=30)
    assert encoder.pid is not None
    killer = threading.Timer(0.1, os.kill, (encoder.pid, signal.SIGKILL))
    killer.start()

    with pytest.raises(EncoderError, match=r"signal 9 \(SIGKILL\)"):
        encoder.encode(FRAME, Order(number=HANG))

    killer.join()
    encoder.close()


def test_after_a_restart_comes_a_key(moody: RemoteEncoder) -> None:
    moody.encode(FRAME, Order(number=0))

    moody.restart()

    assert moody.encode(FRAME, Order(number=1)).key


@pytest.mark.parametrize(
    ("factory", "start_s", "error", "message"),
    [
        (unavailable, 20, UnsupportedError, "no such library here"),
        (crashing, 20, EncoderError, r"crashed while starting: signal 11 \(SIGSEGV\)"),
        (hanging, 0.3, EncoderError, r"hung while starting: no answer in 0\.3 s"),
    ],
)
def test_a_factory_that_fails_is_named(
    factory: Callable[[], Moody], start_s: float, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        RemoteEncoder(factory, start_s=start_s)


def test_closing_ends_the_worker_and_frees_the_memory() -> None:
    before = shared_segments()
    encoder = RemoteEncoder(Moody)
    encoder.encode(FRAME, Order(number=0))
    pid = encoder.pid
    assert pid is not None
    if sys.platform.startswith("linux"):
        assert len(shared_segments() - before) == 1

    encoder.close()
    encoder.close()

    assert shared_segments() == before
    assert not is_running(pid)
    with pytest.raises(EncoderError, match="closed"):
        encoder.encode(FRAME, Order(number=1))


def test_forgetting_to_close_leaks_nothing() -> None:
    before = shared_segments()
    encoder = RemoteEncoder(Moody)
    encoder.encode(FRAME, Order(number=0))
    pid = encoder.pid
    assert pid is not None

    del encoder

    assert shared_segments() == before
    assert not is_running(pid)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reserves pages on Linux only")
def test_a_full_shared_memory_is_an_error_not_a_crash(
    moody: RemoteEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(EncoderError, match="no shared memory for a frame of 13271040 bytes"):
            moody.encode(blank(4096, 2160), Order(number=0))

    assert moody.encode(FRAME, Order(number=1)).key


def test_an_interrupted_call_does_not_answer_the_next(
    moody: RemoteEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def interrupted(*_: object, **__: object) -> None:
            patch.undo()
            raise KeyboardInterrupt

        patch.setattr("auralink.engine.inference.line.Line.answer", interrupted)
        with pytest.raises(KeyboardInterrupt):
            moody.encode(FRAME, Order(number=1))

    assert moody.encode(FRAME, Order(number=2)).number == 2


def test_workers_end_when_their_parent_is_killed() -> None:
    script = (
        "import os, signal\n"
        "from functools import partial\n"
        "from auralink.codecs.base.aom import AomAv1\n"
        "from auralink.engine.inference.remote import RemoteEncoder\n"
        "if __name__ == '__main__':\n"
        "    encoder = RemoteEncoder(partial(AomAv1, (64, 48)))\n"
        "    print(encoder.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == -signal.SIGKILL
    wait_for(lambda: not is_running(int(done.stdout)))


def test_a_video_encoder_may_keep_its_frames() -> None:
    encoder = RemoteVideoEncoder(Keeper)
    frames = [blank(64, 48, luma=luma) for luma in (20, 20, 30, 30, 20)]

    outcomes = [encoder.encode(frame, Wish()).outcome for frame in frames]

    encoder.close()
    coded, skipped = Outcome.CODED, Outcome.SKIPPED
    assert outcomes == [coded, skipped, coded, skipped, coded]


def test_a_video_encoder_starts_with_a_key_after_a_crash() -> None:
    encoder = RemoteVideoEncoder(Keeper)
    with pytest.raises(EncoderError, match="SIGSEGV"):
        encoder.encode(FRAME, Wish(parity=1))

    first, second = (encoder.encode(FRAME, Wish()) for _ in range(2))

    encoder.close()
    assert (first.outcome, second.outcome) == (Outcome.CODED, Outcome.SKIPPED)
