"""Encoders and services that misbehave; workers import them from here."""

import ctypes
import gc
import os
import time
from typing import Any

from auralink.codecs.base.hierarchy import FLAT
from auralink.codecs.base.protocol import BaseUnit, Capabilities, Order
from auralink.codecs.errors import InputError, UnsupportedError
from auralink.codecs.frame import Frame, blank
from auralink.codecs.video.protocol import Coded, Networks, Outcome, Wish
from auralink.engine.inference.backend import RefusedOutput
from auralink.engine.inference.services import Made

CRASH, HANG, EXIT, REFUSE, FAIL, LARGE = 101, 102, 103, 104, 105, 106


class Moody:
    """Does what the frame number says; else answers with what it saw."""

    name = "moody 1.0"
    codec = "av1"
    capabilities = Capabilities(quantizer=True, references=False, droppable=False, size_at_key=True)
    hierarchy = FLAT

    def encode(self, frame: Frame, order: Order) -> BaseUnit:
        data = bytes([int(plane[-1, -1]) for plane in frame.planes])
        match order.number:
            case 101:
                ctypes.string_at(0)
            case 102:
                time.sleep(60)
            case 103:
                os._exit(3)
            case 104:
                raise InputError("number 104 is not liked")
            case 105:
                raise ZeroDivisionError("oops")
            case 106:
                data = bytes(3_000_000)
        return BaseUnit(
            data=data,
            number=order.number,
            key=order.key,
            reference=True,
            depends=(),
            layer=0,
            quantizer=frame.pts_us,
        )

    def close(self) -> None: ...


class Keeper:
    """A `VideoEncoder` that compares each frame with the one before, which it keeps."""

    def __init__(self) -> None:
        self._before: Frame | None = None

    def encode(self, frame: Frame, wish: Wish) -> Coded:
        if wish.parity == 1:
            ctypes.string_at(0)
        same = frame.same_pixels(self._before) and not wish.key
        self._before = frame
        return Coded(outcome=Outcome.SKIPPED if same else Outcome.CODED, base_size=frame.size)

    def close(self) -> None: ...


def unavailable() -> Moody:
    raise UnsupportedError("no such library here")


def crashing() -> Moody:
    ctypes.string_at(0)
    raise AssertionError


def hanging() -> Moody:
    time.sleep(60)
    raise AssertionError


class Odd:
    """A service that does what it is told; counts what it was told."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._calls = 0
        self._eaten: list[bytearray] = []

    @property
    def facts(self) -> int:
        return os.getpid()

    def work(self, frame: Frame | None, order: Any) -> Made:
        self._calls += 1
        match order:
            case "crash":
                ctypes.string_at(0)
            case "hang":
                time.sleep(60)
            case ("compute", float() as seconds):
                until = time.thread_time() + seconds
                while time.thread_time() < until:
                    pass
            case "hold":
                ctypes.PyDLL(None).sleep(60)  # keeps the interpreter's lock
            case "eat":
                self._eaten += [bytearray(b"x" * (8 << 20)) for _ in range(50)]
            case "refuse":
                raise RefusedOutput("not a number")
            case "fail":
                raise ZeroDivisionError("oops")
            case "spared":
                return Made(gc.get_freeze_count())
            case (int() as width, int() as height, int() as luma):
                return Made(self._calls, blank(width, height, self._calls, luma=luma))
            case "echo":
                assert frame is not None
                return Made(self._calls, frame)
            case _:
                time.sleep(order or 0)
        return Made(self._calls)

    def close(self) -> None: ...
