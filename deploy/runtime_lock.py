"""The part of requirements.lock that an engine needs at run time, for the image.

    .venv/bin/python deploy/runtime_lock.py > deploy/requirements.lock

Which packages these are is read from the metadata of what is installed here, for the Python of the
image; versions and hashes are copied from requirements.lock, so that the image runs what was
tested.  A test compares the two.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
EXTRAS = ("otel",)
BUILD = ("setuptools",)  # makes our own package; the image's last stage does not have it
# Of Debian 12.  What only it needs (async-timeout) may be missing here; it needs nothing itself.
PYTHON = {
    "python_version": "3.11",
    "python_full_version": "3.11.2",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_python_implementation": "CPython",
}
HEADER = "# Made by deploy/runtime_lock.py from requirements.lock.\n"


def runtime_lock() -> str:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    needed = _needed()
    return HEADER + "".join(lines for name, lines in _pins(lock) if name in needed)


def _pins(lock: str) -> Iterator[tuple[str, str]]:
    """Name, and its lines with all hashes; one name may have a version for each Python."""
    for block in re.findall(r"^[A-Za-z0-9].*(?:\n    .*)*\n", lock, re.MULTILINE):
        yield canonicalize_name(re.split(r"[=\[ ;]", block, maxsplit=1)[0]), block


def _needed() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *BUILD]
    for extra in EXTRAS:
        wanted += project["optional-dependencies"][extra]
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(text) for text in wanted]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) in found:
                continue
            found.add((name, extra))
            waiting += _of(name, extra)
    return {name for name, _ in found}


def _of(name: str, extra: str) -> Iterator[Requirement]:
    try:
        requires = distribution(name).requires or ()
    except PackageNotFoundError:
        return
    for text in requires:
        further = Requirement(text)
        if further.marker is None or further.marker.evaluate(PYTHON | {"extra": extra}):
            yield further


if __name__ == "__main__":
    sys.stdout.write(runtime_lock())
