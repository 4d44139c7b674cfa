"""A thin link between two namespaces, for as long as a block lasts."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal, TypeAlias, final

from auralink.codecs.errors import UnsupportedError
from auralink.engine.shaping import enter, forwarder, kernel
from auralink.engine.shaping.wire import (
    Carried,
    Shape,
    read_carried,
    write_question,
    write_shape,
)

Side: TypeAlias = Literal["near", "far"]
ADDRESS: Final[dict[Side, str]] = {"near": forwarder.NEAR, "far": forwarder.FAR}
_PATIENCE_S: Final = 5.0


@final
class ThinLink:
    """Made by `thin_link`."""

    def __init__(self, process: "subprocess.Popen[bytes]", networks: dict[Side, int]) -> None:
        self._process = process
        self._networks = networks

    def inside(self, side: Side, command: Sequence[str]) -> list[str]:
        """The command that runs ``command`` at one end; it ends with the thread that starts it."""
        path = f"/proc/{self._process.pid}/fd/{self._networks[side]}"
        return enter.words(path, command)

    def shape(self, shape: Shape) -> None:
        """From now on; counts go on."""
        self._ask(write_shape(shape))

    @property
    def carried(self) -> Carried:
        return self._ask(write_question())

    def _ask(self, order: bytes) -> Carried:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(order)
            process.stdin.flush()
            answer = process.stdout.readline()
        except OSError as broken:
            raise UnsupportedError("the forwarder of the thin link has ended") from broken
        if not answer:
            raise UnsupportedError("the forwarder of the thin link has ended")
        return read_carried(answer)


@contextmanager
def thin_link(*, seed: int = 1, shape: Shape | None = None) -> Iterator[ThinLink]:
    """Two namespaces and a link between them; without ``shape`` it only carries.

    Raises:
        UnsupportedError: this machine or user cannot have one.
    """
    kernel.check()
    process = subprocess.Popen(
        [sys.executable, "-m", "auralink.engine.shaping.forwarder", str(seed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Away from caller's interruptions: what is under way is carried until the block ends.
        process_group=0,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        link = ThinLink(process, _networks(process))
        if shape is not None:
            link.shape(shape)
        yield link
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _networks(process: "subprocess.Popen[bytes]") -> dict[Side, int]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise UnsupportedError("the forwarder of the thin link did not start")
    told = json.loads(line)
    if "error" in told:
        error = UnsupportedError(told["error"])
        for hint in told["hints"]:
            error.add_note(hint)
        raise error
    return {"near": told["near"], "far": told["far"]}
