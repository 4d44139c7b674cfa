"""Several streams at real worker processes: what one of them does, and what the others feel."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auralink.codecs.errors import EncoderError
from auralink.codecs.frame import Frame, blank
from auralink.engine.inference.crew import placed
from auralink.engine.inference.hosts import LocalHost, Seat
from auralink.engine.inference.picture_slots import MOST
from auralink.engine.inference.pool import PoolSettings, WorkerPool, default_workers
from auralink.engine.inference.services import Made, RestoreOrder, RestoreService
from auralink.engine.inference.tools import NoNetworks
from auralink.engine.inference.worker import WorkerLost
from auralink.models.errors import DamagedModel, SwapRefused
from auralink.models.store import Store

from .doubles import Odd
from .processes import is_running, shared_segments, wait_for

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="speaks of signals"),
    pytest.mark.usefixtures("leaves_nothing_behind"),
]


@pytest.fixture(scope="module")
def pool(leaves_nothing_behind: None) -> Iterator[WorkerPool]:
    """One for all: it has to live through every failure."""
    pool = WorkerPool(PoolSettings(workers=1, spares=1, most_backoff_s=0))
    assert pool.wait_started()
    yield pool
    pool.close()


@pytest.fixture
def streams(pool: WorkerPool) -> Iterator[list[Seat]]:
    assert pool.wait_started()
    seats = [pool.seat(Odd, doing="being odd", deadline_s=1) for _ in range(3)]
    for seat in seats:
        seat.open()
    yield seats
    for seat in seats:
        seat.close()


def start(threads: ThreadPoolExecutor, seat: Seat, order: object) -> "Future[Made]":
    began = threading.Event()

    def work() -> Made:
        began.set()
        return seat.work(None, order)

    future = threads.submit(work)
    assert began.wait(10)
    return future


def test_streams_share_a_worker_and_keep_their_own_state(streams: list[Seat]) -> None:
    assert len({seat.pid for seat in streams}) == 1

    counts = [[seat.work(None, 0).value for _ in range(3)] for seat in streams]

    assert counts == [[1, 2, 3]] * 3


def test_full_collections_in_a_worker_leave_out_what_its_start_made(streams: list[Seat]) -> None:
    assert streams[0].work(None, "spared").value > 10_000


def test_streams_spread_over_the_workers() -> None:
    class Fake:
        started = True

        def __init__(self, seats: int, *, doubted: bool) -> None:
            self.seats = seats
            self.doubts = {1} if doubted else set()

    def place(*seats: int, most: int, doubted: int | None = None) -> int:
        workers = [Fake(count, doubted=at == doubted) for at, count in enumerate(seats)]
        found = placed(workers, most)  # type: ignore[arg-type]
        return workers.index(found)  # type: ignore[arg-type]

    assert place(0, 0, 0, most=2) == 0
    assert place(1, 0, 0, most=2) == 1
    assert place(2, 1, 0, most=2) == 1  # the third is the spare
    assert place(2, 0, most=1, doubted=0) == 1
    assert place(2, most=1, doubted=0) == 0
    assert placed([], 2) is None


def test_a_stream_that_hangs_costs_the_others_nothing(
    pool: WorkerPool, streams: list[Seat]
) -> None:
    hanging, *others = streams
    old = hanging.pid
    with ThreadPoolExecutor(1) as threads:
        future = start(threads, hanging, "hang")
        while not future.done():
            assert [seat.work(None, 0.01).value for seat in others]
        with pytest.raises(WorkerLost, match=r"hung while being odd: no answer in 1 s"):
            future.result()

    assert old is not None
    wait_for(lambda: not is_running(old))
    assert hanging.work(None, 0).value == 1
    assert all(seat.work(None, 0).value for seat in others)
    assert old not in {*pool.pids(), *(seat.pid for seat in streams)}


def test_what_computes_is_slow_and_what_does_not_hangs(pool: WorkerPool) -> None:
    """The key of a screen takes longer than any hang should."""
    seat = pool.seat(Odd, doing="being odd", deadline_s=0.3, busy_s=20)
    seat.open()
    try:
        assert seat.work(None, ("compute", 1.0)).value == 1
        with pytest.raises(WorkerLost, match="hung"):
            seat.work(None, "hang")
        with pytest.raises(WorkerLost, match="hung"):
            pool.seat(Odd, doing="being odd", deadline_s=0.3, busy_s=0.6).work(
                None, ("compute", 5.0)
            )
    finally:
        seat.close()


@pytest.mark.parametrize("fault", ["stopped", "held"])
def test_a_worker_without_a_heartbeat_is_declared_dead(
    streams: list[Seat], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither limits of calls nor the pipe would tell: the caller has half a minute."""
    patient = streams[0]
    monkeypatch.setattr(patient, "_deadline_s", 30)
    pid = patient.pid
    assert pid is not None
    with ThreadPoolExecutor(1) as threads:
        if fault == "stopped":
            future = start(threads, patient, 10)
            os.kill(pid, signal.SIGSTOP)
        else:
            future = start(threads, patient, "hold")
        with pytest.raises(WorkerLost, match="no sign of life"):
            future.result()

    wait_for(lambda: not is_running(pid))
    assert patient.work(None, 0).value == 1


def test_a_worker_that_is_stopped_while_it_starts_is_not_waited_for() -> None:
    pool = WorkerPool(PoolSettings(workers=1, spares=0, most_backoff_s=0))
    seat = pool.seat(Odd, doing="being odd")
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(seat.open)
        wait_for(lambda: bool(pool.pids()))
        os.kill(pool.pids()[0], signal.SIGSTOP)

        with pytest.raises(WorkerLost, match=r"stopped while it started|no sign of life"):
            future.result()

    assert seat.work(None, 0).value == 1
    seat.close()
    pool.close()


def test_a_crash_costs_each_stream_the_frame_at_work_and_no_other(streams: list[Seat]) -> None:
    lost = 0
    with ThreadPoolExecutor(2) as threads:
        running = [start(threads, seat, 0.5) for seat in streams[1:]]
        with pytest.raises(WorkerLost, match=r"crashed while being odd: signal 11 \(SIGSEGV\)"):
            streams[0].work(None, "crash")
        for future in running:
            with pytest.raises(WorkerLost, match="SIGSEGV"):
                future.result()
            lost += 1

    assert lost == 2
    assert [seat.work(None, 0).value for seat in streams] == [1, 1, 1]


def test_a_kill_between_frames_costs_none(pool: WorkerPool, streams: list[Seat]) -> None:
    pid = streams[0].pid
    assert pid is not None
    lost = pool.statistics().lost

    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: pool.statistics().lost > lost)

    assert [seat.work(None, 0).value for seat in streams] == [1, 1, 1]
    assert "SIGKILL" in pool.statistics().last_cause


def test_an_exception_costs_the_stream_its_service_and_nobody_else(streams: list[Seat]) -> None:
    pid = streams[0].pid
    for seat in streams:
        seat.work(None, 0)

    with pytest.raises(EncoderError, match="ZeroDivisionError in the worker: oops"):
        streams[0].work(None, "fail")

    assert [seat.work(None, 0).value for seat in streams] == [1, 2, 2]
    assert streams[0].pid == pid


def test_a_worker_that_holds_too_much_memory_is_replaced() -> None:
    pool = WorkerPool(PoolSettings(workers=1, spares=0, worker_bytes=300 << 20))
    seat = pool.seat(Odd, doing="eating", deadline_s=30)
    with contextlib.suppress(WorkerLost):  # it may be noticed before the call ends
        seat.work(None, "eat")

    wait_for(lambda: seat.pid is None)

    assert "MB of memory, at most 300 MB" in pool.statistics().last_cause
    assert seat.work(None, 0).value == 1
    seat.close()
    pool.close()


def test_a_stream_whose_frames_keep_killing_workers_is_set_aside() -> None:
    pool = WorkerPool(PoolSettings(workers=1, spares=1))
    poison = pool.seat(Odd, doing="being odd")
    messages = []
    for _ in range(4):
        with pytest.raises(WorkerLost) as raised:
            poison.work(None, "crash")
        messages.append(str(raised.value))

    assert ["SIGSEGV" in text for text in messages[:3]] == [True] * 3
    assert "set aside" in messages[3] or "no worker" in messages[3]
    poison.close()
    pool.close()


def test_pictures_come_back_in_any_size_and_stay_as_they_are(streams: list[Seat]) -> None:
    seat = streams[0]
    sizes = [(64, 48), (640, 360), (15, 9), (1280, 720), (64, 48)]

    kept = [seat.work(None, (*size, luma)).frame for luma, size in enumerate(sizes, 20)]

    for luma, (size, frame) in enumerate(zip(sizes, kept, strict=True), 20):
        assert frame is not None
        assert frame.size == size
        assert (int(frame.y.min()), int(frame.y.max())) == (luma, luma)
    assert kept[0] is not None
    assert not kept[0].y.flags.writeable  # it lies where the worker wrote it


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /dev/shm")
def test_pictures_that_nobody_looks_at_give_their_memory_back(streams: list[Seat]) -> None:
    before = shared_segments()
    for _ in range(20):
        streams[0].work(None, (64, 48, 1))
    assert len(shared_segments() - before) <= 2

    kept = [streams[0].work(None, (64, 48, luma)).frame for luma in range(30)]

    assert len(shared_segments() - before) <= MOST + 2
    assert [int(frame.y[0, 0]) for frame in kept if frame] == list(range(30))


def test_pictures_outlive_their_stream(pool: WorkerPool) -> None:
    seat = pool.seat(Odd, doing="being odd")
    frame = seat.work(None, (64, 48, 77)).frame
    assert frame is not None

    seat.close()
    del seat

    assert (int(frame.y.min()), int(frame.y.max())) == (77, 77)


def test_frames_cross_both_ways_unchanged(streams: list[Seat]) -> None:
    rng = np.random.default_rng(3)
    sent = Frame(
        y=rng.integers(0, 255, (90, 160), np.uint8),
        u=rng.integers(0, 255, (45, 80), np.uint8),
        v=rng.integers(0, 255, (45, 80), np.uint8),
        pts_us=123,
    )

    back = streams[0].work(sent, "echo").frame

    assert back is not None
    assert back.same_pixels(sent)
    assert back.pts_us == 123


def test_the_time_of_a_call_is_told(streams: list[Seat]) -> None:
    streams[0].work(None, 0.02)

    assert streams[0].last is not None
    assert streams[0].last.run_us >= 20_000


def test_a_signal_to_the_whole_group_is_not_the_workers_to_obey(
    pool: WorkerPool, streams: list[Seat]
) -> None:
    for pid in pool.pids():
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)

    assert [seat.work(None, 0.1).value for seat in streams] == [1, 1, 1]


def test_a_stream_that_nobody_closed_gives_its_seat_back(pool: WorkerPool) -> None:
    before = pool.statistics().seats
    seat = pool.seat(Odd, doing="being odd")
    seat.open()
    assert pool.statistics().seats == before + 1

    del seat

    assert pool.statistics().seats == before


def test_a_machine_without_room_for_a_process_is_an_error_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    pool = WorkerPool(PoolSettings(workers=1, spares=0, most_backoff_s=0))
    seat = pool.seat(Odd, doing="being odd")
    with monkeypatch.context() as patch:
        patch.setattr("multiprocessing.process.BaseProcess.start", full)
        with pytest.raises(WorkerLost, match=r"could not be started: .* temporarily"):
            seat.open()

    assert seat.work(None, 0).value == 1
    seat.close()
    pool.close()


def test_a_pool_that_nobody_closed_does_not_hold_the_exit_up(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from auralink.engine.inference.pool import PoolSettings, WorkerPool\n"
        "print('imported')\n"
        "pool = WorkerPool(PoolSettings(workers=1, spares=1))\n"  # no guard: nobody imports it
        "assert pool.wait_started()\n"
        "print(*pool.pids())\n"
    )

    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    said, pids = done.stdout.splitlines()  # once: workers leave the main module alone
    assert said == "imported"
    assert len(pids.split()) == 2
    assert not any(is_running(int(pid)) for pid in pids.split())


def test_a_closed_pool_says_so() -> None:
    pool = WorkerPool()
    seat = pool.seat(Odd, doing="being odd")
    seat.open()
    pids = pool.pids()

    pool.close()
    pool.close()

    assert not any(map(is_running, pids))
    with pytest.raises(WorkerLost, match="closed"):
        seat.work(None, 0)
    seat.close()


def test_streams_beyond_the_seats_are_refused() -> None:
    pool = WorkerPool(PoolSettings(workers=1, spares=0, seats=2))
    first, second, third = (pool.seat(Odd, doing="being odd") for _ in range(3))
    first.open()
    second.open()

    with pytest.raises(WorkerLost, match="all 2 seats of the worker pool are taken"):
        third.open()

    first.close()
    assert third.work(None, 0).value == 1
    for seat in (second, third):
        seat.close()
    pool.close()


def test_one_core_is_left_for_the_rest() -> None:
    assert default_workers() >= 1
    assert default_workers() <= max(1, (os.cpu_count() or 1) - 1)


# -- models ----------------------------------------------------------------------------------------

ORDER = RestoreOrder(quantizer=190, scale=0.5, reference=True)


@pytest.fixture(scope="module")
def serving(leaves_nothing_behind: None) -> Iterator[WorkerPool]:
    pool = WorkerPool(PoolSettings(workers=1, spares=1, entry=Store.bundled().find(1, "int8")))
    assert pool.wait_started()
    yield pool
    pool.close()


def edge() -> Frame:
    frame = blank(96, 64)
    ramp = np.clip(np.arange(96) * 16 - 680, 40, 200).astype(np.uint8)
    return replace(frame, y=np.repeat(ramp[None], 64, 0))


def restored(seat: Seat) -> Frame:
    made = seat.work(edge(), replace(ORDER, key=True))
    assert made.frame is not None
    return made.frame


def test_workers_restore_and_can_be_probed(serving: WorkerPool) -> None:
    seat = serving.seat(RestoreService, doing="restoring")

    assert seat.open() == 1
    assert not restored(seat).same_pixels(edge())
    assert serving.probe() > 0
    seat.close()


def test_a_swap_reaches_all_workers_and_those_that_come_later(serving: WorkerPool) -> None:
    seat = serving.seat(RestoreService, doing="restoring")
    eight = restored(seat)

    serving.swap(Store.bundled().find(1, "fp32"))

    floats = restored(seat)
    assert not floats.same_pixels(eight)
    for _ in range(2):  # its worker, then what was the spare
        lost, pid = serving.statistics().lost, seat.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda before=lost: serving.statistics().lost > before)  # type: ignore[misc]
        assert restored(seat).same_pixels(floats)
    assert serving.statistics().model.startswith("restore-s-fp32")
    serving.swap(Store.bundled().find(1, "int8"))
    assert restored(seat).same_pixels(eight)
    seat.close()


def test_a_swap_to_a_bad_model_is_refused_in_the_worker_s_words(serving: WorkerPool) -> None:
    seat = serving.seat(RestoreService, doing="restoring")
    before = restored(seat)
    entry = Store.bundled().find(1, "int8")

    with pytest.raises(DamagedModel, match=r"nowhere\.onnx: cannot be read"):
        serving.swap(replace(entry, file="nowhere.onnx"))

    assert restored(seat).same_pixels(before)
    assert serving.entry == entry
    seat.close()


def test_a_pool_without_a_model_takes_no_swap(pool: WorkerPool) -> None:
    with pytest.raises(SwapRefused, match="without a model"):
        pool.swap(Store.bundled().find(1, "int8"))


# -- in this process -------------------------------------------------------------------------------


def test_the_local_host_serves_the_same_way() -> None:
    seat = LocalHost(NoNetworks()).seat(Odd, doing="being odd")

    assert seat.open() == os.getpid()
    assert seat.is_fresh
    assert [seat.work(None, 0).value for _ in range(2)] == [1, 2]
    assert not seat.is_fresh
    with pytest.raises(ZeroDivisionError):
        seat.work(None, "fail")
    assert seat.work(None, 0).value == 1
    seat.close()
    with pytest.raises(WorkerLost, match="closed"):
        seat.work(None, 0)
