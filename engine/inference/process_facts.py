"""What the system says about a worker process: why it ended, what it computed, what it holds."""

import signal
from multiprocessing.context import SpawnProcess

import psutil


def cause_of_death(process: SpawnProcess, grace_s: float) -> str:
    """In words, with ``{doing}`` for what it did; one that lives on without its pipe is killed.

    Args:
        grace_s: for the kernel to reap it.
    """
    process.join(grace_s)
    code = process.exitcode
    if code is None:
        process.kill()
        process.join(grace_s)
        return "worker closed its pipe {doing}"
    if code < 0:
        return f"worker crashed {{doing}}: signal {-code} ({_signal_name(-code)})"
    return f"worker ended {{doing}} with code {code}"


def computed_s(pid: int) -> float:
    """Processor seconds of a process so far; 0 once it is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def held_and_stopped(pid: int) -> tuple[int, bool]:
    """Memory that a process holds, in bytes, and whether it is stopped."""
    try:
        process = psutil.Process(pid)
        return int(process.memory_info().rss), process.status() == psutil.STATUS_STOPPED
    except psutil.Error:  # it ends just now
        return 0, False


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
