"""What a measurement ran on: processor, versions, commit."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Final

import av

_PACKAGES: Final = ("av", "numpy", "numba", "onnxruntime", "imagecodecs")


def describe() -> dict[str, str]:
    """Facts to put beside every figure; no names of people, hosts or folders."""
    found = {
        "cpu": _cpu_model(),
        "cores": str(_usable_cores()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "commit": _commit(),
    }
    found |= {name: _version(name) for name in _PACKAGES}
    codec = av.library_versions.get("libavcodec", ())
    found["libavcodec"] = ".".join(str(part) for part in codec)
    return found


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def _commit() -> str:
    """Short hash of the checkout, with a plus if files differ from it; empty outside of one."""
    root = Path(__file__).resolve().parent.parent
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
