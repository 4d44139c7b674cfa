"""Line plots as inline SVG; colours come from the page, so that it can be dark or light."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, Literal, TypeAlias

WIDTH: Final = 620
HEIGHT: Final = 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 34, 44
_TICKS: Final = 5

Tone: TypeAlias = Literal["aic", "vp8", "plain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One curve.  `dots` marks its points, `step` holds each value up to the next."""

    label: str
    tone: Tone
    points: Sequence[tuple[float, float]]
    dots: bool = False
    step: bool = False
    dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What an axis shows, and its range if that is not the data's own."""

    title: str
    low: float | None = None
    high: float | None = None
    log: bool = False


def plot(lines: Sequence[Line], x: Axis, y: Axis, *, name: str) -> str:
    """An `<svg>` with the curves, axes, grid and a legend."""
    xs = _Scale(x, [point[0] for line in lines for point in line.points], _LEFT, WIDTH - _RIGHT)
    ys = _Scale(y, [point[1] for line in lines for point in line.points], HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)}">',
        *_grid(xs, ys),
        *_titles(x, y),
        *(_curve(line, xs, ys) for line in lines),
        *_legend(lines),
        "</svg>",
    ]
    return "".join(parts)


class _Scale:
    """Values to pixels along one axis."""

    def __init__(self, axis: Axis, values: Sequence[float], start: float, end: float) -> None:
        self._log = axis.log
        low = min(values, default=0.0) if axis.low is None else axis.low
        high = max(values, default=1.0) if axis.high is None else axis.high
        if high <= low:
            low, high = low - 0.5, high + 0.5
        self.low, self.high = low, high
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        value = min(max(value, self.low), self.high)
        low, high = self._shape(self.low), self._shape(self.high)
        return self._start + (self._shape(value) - low) / (high - low) * (self._end - self._start)

    def ticks(self) -> list[float]:
        if self._log:
            return _log_ticks(self.low, self.high)
        step = _nice((self.high - self.low) / _TICKS)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]

    def _shape(self, value: float) -> float:
        return math.log(max(value, 1e-9)) if self._log else value


def _nice(step: float) -> float:
    """The next of 1, 2, 2.5, 5, 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= step * 0.999)


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**decade for decade in decades for factor in (1, 2, 3, 5, 7)]
    return [tick for tick in ticks if low <= tick <= high]


def _grid(xs: _Scale, ys: _Scale) -> list[str]:
    parts = []
    for tick in xs.ticks():
        at = xs.at(tick)
        parts.append(f'<path class="grid" d="M{at:.1f} {_TOP}V{HEIGHT - _BOTTOM}"/>')
        parts.append(
            f'<text class="tick" x="{at:.1f}" y="{HEIGHT - _BOTTOM + 16}" '
            f'text-anchor="middle">{tick:g}</text>'
        )
    for tick in ys.ticks():
        at = ys.at(tick)
        parts.append(f'<path class="grid" d="M{_LEFT} {at:.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    return parts


def _titles(x: Axis, y: Axis) -> list[str]:
    middle = (_TOP + HEIGHT - _BOTTOM) / 2
    return [
        f'<text class="axis" x="{(_LEFT + WIDTH - _RIGHT) / 2}" y="{HEIGHT - 6}" '
        f'text-anchor="middle">{escape(x.title)}</text>',
        f'<text class="axis" transform="translate(13 {middle}) rotate(-90)" '
        f'text-anchor="middle">{escape(y.title)}</text>',
    ]


def _curve(line: Line, xs: _Scale, ys: _Scale) -> str:
    if not line.points:
        return ""
    places = [(xs.at(px), ys.at(py)) for px, py in line.points]
    path = f"M{places[0][0]:.1f} {places[0][1]:.1f}"
    for px, py in places[1:]:
        path += f"H{px:.1f}V{py:.1f}" if line.step else f"L{px:.1f} {py:.1f}"
    dashed = " dashed" if line.dashed else ""
    parts = [f'<path class="line {line.tone}{dashed}" d="{path}"/>']
    if line.dots:
        for (px, py), (vx, vy) in zip(places, line.points, strict=True):
            parts.append(
                f'<circle class="dot {line.tone}" cx="{px:.1f}" cy="{py:.1f}" r="4">'
                f"<title>{escape(line.label)}: {vx:.4g}, {vy:.4g}</title></circle>"
            )
    return "".join(parts)


def _legend(lines: Sequence[Line]) -> list[str]:
    parts, at = [], float(_LEFT)
    for line in lines:
        dashed = " dashed" if line.dashed else ""
        parts.append(
            f'<path class="line {line.tone}{dashed}" d="M{at:g} 14h18"/>'
            f'<text class="legend" x="{at + 24:g}" y="18">{escape(line.label)}</text>'
        )
        at += 42 + 6.4 * len(line.label)
    return parts
