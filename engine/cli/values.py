"""Values as people write them: ``90k``, ``10%``, ``640x360``; and names with a typing error.

The parsers get a command's default value too, as it is.
"""

import difflib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import typer

from auralink.codecs.errors import UnsupportedError

_UNITS: Final = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)(?:bit/s|bps)?", re.IGNORECASE)


def bitrate(given: str | float) -> int:
    """``90k``, ``1.5M``, ``64000`` or ``64000bps`` as bits per second."""
    text = str(given).strip()
    match = _RATE.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no bit rate: write 90k, 1.5M or 90000 (bit/s)")
    value = round(float(match[1]) * _UNITS[match[2].lower()])
    if not 1000 <= value <= 1_000_000_000:
        raise typer.BadParameter(f"{text!r}: bit rates from 1k to 1G are possible")
    return value


def share(given: str | float) -> float:
    """``10%`` or ``0.1`` as a fraction of one."""
    text = str(given).strip()
    percent = text.endswith("%")
    try:
        value = float(text.rstrip("%")) / (100 if percent else 1)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no share: write 10% or 0.1") from None
    if not 0 <= value <= 1:
        hint = f"; did you mean {text}%?" if 1 < value <= 100 and not percent else ""
        raise typer.BadParameter(f"{text!r} is not between 0 and 100 %{hint}")
    return value


@dataclass(frozen=True, slots=True)
class Size:
    """Of a picture.  (An option whose type is a tuple would want two words.)"""

    width: int
    height: int

    @property
    def pair(self) -> tuple[int, int]:
        return self.width, self.height


def picture_size(text: str) -> Size:
    """``640x360``."""
    match = re.fullmatch(r"(\d{1,5})\s*[x×*]\s*(\d{1,5})", text.strip(), re.IGNORECASE)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no picture size: write 640x360")
    width, height = int(match[1]), int(match[2])
    if not (1 <= width <= 4096 and 1 <= height <= 4096 and width * height <= 4096 * 2304):
        raise typer.BadParameter(f"{text!r}: sizes from 1x1 to 4096x2304 are possible")
    return Size(width, height)


def frame_rate(text: str) -> float:
    """``30``, ``29.97`` or ``30000/1001`` as frames per second."""
    try:
        above, _, below = text.partition("/")
        value = float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not 0.1 <= value <= 1000:
        raise typer.BadParameter(f"{text!r} is no frame rate: write 20, 29.97 or 30000/1001")
    return value


def milliseconds(given: str | float) -> float:
    """``100``, ``100ms`` or ``0.1s`` as milliseconds."""
    text = str(given).strip()
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s)?", text, re.IGNORECASE)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no time: write 100ms or 0.1s")
    value = float(match[1]) * (1000 if (match[2] or "").lower() == "s" else 1)
    if value > 60_000:
        raise typer.BadParameter(f"{text!r} is more than a minute")
    return value


def known_name(kind: str, name: str, names: Iterable[str]) -> str:
    """`name` if it is one of `names`.

    Raises:
        UnsupportedError: it is not; the note suggests what it may have been meant to be.
    """
    known = list(names)
    if name in known:
        return name
    error = UnsupportedError(f"unknown {kind} {name!r}")
    near = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    error.add_note(f"{meant}{kind}s: {', '.join(known)}")
    raise error
