"""A process of a rehearsal: told what to do, asked what it knows, measured, ended."""

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import psutil

from auralink.codecs.errors import UnsupportedError

PATIENCE_S: Final = 30.0


@final
class Person:
    """A process that tells lines of JSON and leaves when its stdin ends."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self.process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | dict(environment),
        )
        self._facts: dict[str, Any] = {}
        self._said = bytearray()
        self._over = False
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=target, daemon=True) for target in (self._listen, self._keep)
        ]
        for reader in self._readers:
            reader.start()

    def fact(self, key: str, patience_s: float = PATIENCE_S) -> Any:
        """What it told last under that name, as soon as it does.

        Raises:
            UnsupportedError: it ended, or does not.
        """
        with self._changed:
            self._changed.wait_for(lambda: key in self._facts or self._over, patience_s)
            if key in self._facts:
                return self._facts[key]
        raise UnsupportedError(f"{self.name} never told {key}: {self.complaint()}")

    def has(self, key: str) -> bool:
        with self._changed:
            return key in self._facts

    def ask(self, order: str, key: str) -> Any:
        """Give an order that it answers with that fact."""
        with self._changed:
            self._facts.pop(key, None)
        self.order(order)
        return self.fact(key)

    def order(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def cpu_s(self) -> float:
        """Of the process and its children so far."""
        total = 0.0
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.process.pid)
            for one in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    times = one.cpu_times()
                    total += times.user + times.system
        return total

    def complaint(self) -> str:
        lines = self._said.decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "nothing on stderr"

    def leave(self) -> None:
        """Ask it to, and wait; end it if it does not."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        self._wait()

    def terminate(self) -> None:
        """As a supervisor does."""
        self.process.terminate()
        self.leave()

    def kill(self) -> None:
        self.process.kill()
        self.leave()

    def _wait(self) -> None:
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for reader in self._readers:
            reader.join(PATIENCE_S)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        text = b""
        for line in self.process.stdout:
            text += line
            with contextlib.suppress(ValueError):
                told = json.loads(text)
                text = b""
                if isinstance(told, dict):
                    with self._changed:
                        self._facts |= told
                        self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _keep(self) -> None:
        """The last of what it complains."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._said += line
            del self._said[:-4096]
