"""Which pictures each frame predicts from and replaces: three temporal layers in eight slots.

An AV1 decoder keeps eight pictures ("slots"); a key frame fills all of them.  After it::

    layer     T0   T2   T1   T2 | T0   T2   T1   T2 | T0 ...
    stored    0    -    7    -  | 1    -    7    -  | 2         T0 goes round slots 0..6, T1 has 7

Every frame predicts from the two newest stored pictures, the newest first.  T2 frames, every second
one, are never stored: any of them may be dropped.  The ring of T0 pictures is long so that one old
enough to be acknowledged is still there when a loss is reported: 28 frames.

Measured on foreman and signerD (352x288, 480x360; libaom 3.13, speed 6, three quantizers, 65
frames, one set of layer quantizers), bits at equal SSIM against storing T2 too and letting T1 build
on it: -0.2 and -4.2 %.  Letting T2 build on T2 only changes nothing (0.0 and +0.2 %); a third
reference -0.6 and -0.7 % for a sixth more time; the slower layer first, instead of the newest, +2.4
and +0.5 %; without the older of the two references +1.5 and +3.8 %.

This is pure bookkeeping; it touches no encoder.
"""

from collections.abc import Set
from dataclasses import dataclass
from typing import Final, final

RING: Final = (0, 1, 2, 3, 4, 5, 6)  # slots of T0 pictures
T1_SLOT: Final = 7
PATTERN: Final = (0, 2, 1, 2)  # layers, by position
DROPPABLE: Final = 2  # the layer that nothing builds on
MAX_REFERENCES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one frame is to be coded.

    ``references`` are slots, newest picture first, and ``depends`` the numbers of the frames in
    them; both are empty for a key.  ``stored_in`` is None when the frame is not kept.
    """

    references: tuple[int, ...]
    depends: tuple[int, ...]
    stored_in: int | None
    position: int
    doubted: frozenset[int]  # slots not to be used until acknowledged

    @property
    def key(self) -> bool:
        return not self.references

    @property
    def layer(self) -> int:
        return PATTERN[self.position]


@dataclass(frozen=True, slots=True)
class _Stored:
    number: int
    age: int  # grows with every stored picture; frame numbers may wrap


@final
class ReferenceStructure:
    """Plan frame after frame, keeping track of what each slot holds.

    What the receiver holds is said by ``predict_from``, frame by frame:

    - A set: *this* frame predicts from frames in the set only; if no slot holds one, it becomes a
      key.  If the newest T0 picture is not in the set, the frame is a *repair*: it is a T0 itself,
      and the pattern starts again with it.  Otherwise the pattern goes on.  The sender adds
      what it codes from the repair on to the sets it gives.
    - All stored pictures outside the set come under *doubt*: the frames to come do not use them
      either, until a later set names them.  So None may follow a repair at once.
    - None: anything but what is in doubt.  Frames coded from now on are trusted.
    """

    def __init__(self) -> None:
        self._slots: dict[int, _Stored] = {}
        self._doubted: frozenset[int] = frozenset()
        self._position = 0
        self._age = 0

    def plan(self, *, key: bool = False, predict_from: Set[int] | None = None) -> Plan:
        """Plan the next frame.  Changes nothing: `commit` does, once the frame is coded."""
        doubted = self._doubted
        if predict_from is not None:
            doubted = frozenset(s for s, p in self._slots.items() if p.number not in predict_from)
        references = self._newest(doubted)
        if key or not references:
            return Plan(references=(), depends=(), stored_in=None, position=0, doubted=frozenset())
        newest_base = max(RING, key=self._age_of)
        position = 0 if newest_base in doubted else self._position
        return Plan(
            references=references,
            depends=tuple(self._slots[slot].number for slot in references),
            stored_in=self._place(PATTERN[position], doubted),
            position=position,
            doubted=doubted,
        )

    def commit(self, number: int, plan: Plan) -> None:
        """Record that frame ``number`` was coded as planned."""
        self._age += 1
        stored = _Stored(number, self._age)
        if plan.key:
            self._slots = dict.fromkeys((*RING, T1_SLOT), stored)
        elif plan.stored_in is not None:
            self._slots[plan.stored_in] = stored
        self._doubted = plan.doubted - {plan.stored_in}
        self._position = (plan.position + 1) % len(PATTERN)

    def _newest(self, doubted: Set[int]) -> tuple[int, ...]:
        """The newest usable slots, no picture twice (after a key many slots hold the same)."""
        by_number: dict[int, int] = {}
        for slot in sorted(self._slots, key=self._age_of, reverse=True):
            if slot not in doubted:
                by_number.setdefault(self._slots[slot].number, slot)
        return tuple(by_number.values())[:MAX_REFERENCES]

    def _place(self, layer: int, doubted: Set[int]) -> int | None:
        if layer == DROPPABLE:
            return None
        if layer == 1:
            return T1_SLOT
        # A doubted slot goes first, the newest of them: the older may yet be acknowledged.
        suspects = [slot for slot in RING if slot in doubted]
        if suspects:
            return max(suspects, key=self._age_of)
        return min(RING, key=self._age_of)

    def _age_of(self, slot: int) -> int:
        return self._slots[slot].age
