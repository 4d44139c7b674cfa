"""Reference slots, and the references a frame header leaves to be worked out (7.8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_LAST, _LAST2, _LAST3, _GOLDEN, _BWDREF, _ALTREF2, _ALTREF = range(7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What is known of the frame in a reference slot; ``width`` 0: none."""

    frame_type: int = 0
    width: int = 0
    height: int = 0
    order_hint: int = 0
    base_q_idx: int = 0


EMPTY: Final = Slot()


def short_references(
    hints: Sequence[int], order_hint: int, hint_bits: int, last: int, golden: int
) -> tuple[int, ...]:
    """set_frame_refs(): seven slots from two given ones and the order hints of all eight."""
    middle = 1 << (hint_bits - 1)
    shifted = [middle + _distance(hint, order_hint, hint_bits) for hint in hints]
    unused = set(range(8)) - {last, golden}
    chosen = {_LAST: last, _GOLDEN: golden}

    def choose(name: int, slot: int | None) -> None:
        if slot is not None:
            chosen[name] = slot
            unused.discard(slot)

    def backward() -> list[int]:
        return [slot for slot in sorted(unused) if shifted[slot] >= middle]

    def forward() -> list[int]:
        return [slot for slot in sorted(unused) if shifted[slot] < middle]

    def latest(slots: list[int]) -> int | None:  # of equals, the highest slot
        return max(slots, key=lambda slot: (shifted[slot], slot), default=None)

    def earliest(slots: list[int]) -> int | None:  # of equals, the lowest slot
        return min(slots, key=lambda slot: (shifted[slot], slot), default=None)

    choose(_ALTREF, latest(backward()))
    choose(_BWDREF, earliest(backward()))
    choose(_ALTREF2, earliest(backward()))
    for name in (_LAST2, _LAST3, _BWDREF, _ALTREF2, _ALTREF):
        if name not in chosen:
            choose(name, latest(forward()))
    rest = min(range(8), key=lambda slot: (shifted[slot], slot))
    return tuple(chosen.get(name, rest) for name in range(7))


def _distance(a: int, b: int, hint_bits: int) -> int:
    """get_relative_dist(): a - b, wrapped to ``hint_bits`` signed bits."""
    half = 1 << (hint_bits - 1)
    return ((a - b + half) & (2 * half - 1)) - half
