"""Encoders that misbehave, for `test_worker`; workers import them from here."""

import ctypes
import os
import time

from auralink.codecs.base.hierarchy import FLAT
from auralink.codecs.base.protocol import BaseUnit, Capabilities, Order
from auralink.codecs.errors import InputError, UnsupportedError
from auralink.codecs.frame import Frame
from auralink.codecs.video.protocol import Coded, Outcome, Wish

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
