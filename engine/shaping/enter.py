"""Run a program inside a namespace of a thin link, and end it with whoever asked.

::

    python -m auralink.engine.shaping.enter /proc/PID/fd/N PROGRAM ARGUMENT...
"""

import os
import sys
from collections.abc import Sequence

from auralink.codecs.errors import UnsupportedError
from auralink.engine.shaping import kernel


def words(path: str, command: Sequence[str]) -> list[str]:
    """The command that runs ``command`` there."""
    return [sys.executable, "-m", "auralink.engine.shaping.enter", path, *command]


def main() -> int:
    path, *command = sys.argv[1:]
    try:
        kernel.end_with_parent()
        kernel.enter_network(path)
    except UnsupportedError as refused:
        print(f"error: {refused}", file=sys.stderr)
        return 2
    try:
        os.execvp(command[0], command)
    except OSError as missing:
        print(f"error: {command[0]}: {missing.strerror}", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main())
