"""The rungs of the fallback ladder: what each gives up, what it needs, what it asks of the encoder.

========== ==================================== ========== ========= =============
rung       gives up, beside what is above it     needs      effort    least bits/s
========== ==================================== ========== ========= =============
wished     nothing                               model,     1         5,000
                                                 workers
plain      the network: plain scaling            workers    0.9       5,000
fast       bits: the fastest preset              workers    0.5       5,000
small      half of each side                     workers    0.15      5,000
slow       every second picture                  workers    0.08      5,000
native     AIC: the room's own VP8 or H.264      nothing    0.05      40,000
audio      pictures                              nothing    0         0
========== ==================================== ========== ========= =============

Effort is relative processor time of our side.  The base encoder's is after its measured presets
(`codecs.video.speed.NOMINAL_MS`: half from a middle preset to the fastest) and its pixels; native
codecs cost a third to a fifth of the fastest AV1 preset (`bench speed`), at the small size.

This is not the ladder of `codecs.video.rate`, which trades picture size for bits inside a codec and
needs no help from here as long as there are bits, a model and a processor to run it.
"""

import enum
from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Final

from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import DEFAULT_PROFILE, LEARNED_PROFILES

_FASTEST_PRESET: Final = 11
# Below this the codec's own ladder is at its end as well: a small picture every tenth of a second.
_LEAST_BPS: Final = 5_000


class Need(enum.Enum):
    """What can be gone altogether."""

    MODEL = "model"
    WORKERS = "workers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """
    Attributes:
        net: the stream may ask for the network.
        fast: the fastest preset instead of the one that the time allows.
        scale: of each side.
        divisor: one of so many pictures.
        native: the room's own codec, forwarded or coded again, instead of the profile.
        video: False: sound only.
        effort: processor time relative to the first rung.
        least_bps: fewer bits than these for the stream, headers included, carry no pictures.
    """

    name: str
    needs: Set[Need]
    effort: float
    least_bps: int
    net: bool = False
    fast: bool = True
    scale: float = 0.5
    divisor: int = 2
    native: bool = False
    video: bool = True


_BOTH: Final = frozenset({Need.MODEL, Need.WORKERS})
_WORKERS: Final = frozenset({Need.WORKERS})

RUNGS: Final[tuple[Rung, ...]] = (
    Rung(
        name="wished",
        needs=_BOTH,
        effort=1.0,
        least_bps=_LEAST_BPS,
        net=True,
        fast=False,
        scale=1.0,
        divisor=1,
    ),
    Rung(
        name="plain",
        needs=_WORKERS,
        effort=0.9,
        least_bps=_LEAST_BPS,
        fast=False,
        scale=1.0,
        divisor=1,
    ),
    Rung(name="fast", needs=_WORKERS, effort=0.5, least_bps=_LEAST_BPS, scale=1.0, divisor=1),
    Rung(name="small", needs=_WORKERS, effort=0.15, least_bps=_LEAST_BPS, divisor=1),
    Rung(name="slow", needs=_WORKERS, effort=0.08, least_bps=_LEAST_BPS),
    Rung(name="native", needs=frozenset(), effort=0.05, least_bps=40_000, native=True),
    Rung(name="audio", needs=frozenset(), effort=0.0, least_bps=0, video=False),
)
BY_NAME: Final = {rung.name: index for index, rung in enumerate(RUNGS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a stream's encoder shall be.

    Attributes:
        size: the largest picture that is asked of the room and coded.
    """

    profile: str
    options: EncoderOptions
    size: tuple[int, int]
    fps: float


def order(rung: Rung, wished: Order, *, native_profile: str = "native-vp8") -> Order | None:
    """What a rung makes of the user's wish; None: no pictures.

    Without its network a learned profile is none: its place is taken by the default one.
    """
    if not rung.video:
        return None
    profile, options = wished.profile, wished.options
    if not rung.net:
        options = replace(options, neural=False)
        profile = DEFAULT_PROFILE if profile in LEARNED_PROFILES else profile
    if rung.fast and not rung.native:
        options = replace(options, preset=max(options.preset or 0, _FASTEST_PRESET))
    width, height = (max(2, round(side * rung.scale / 2) * 2) for side in wished.size)
    return Order(
        profile=native_profile if rung.native else profile,
        options=options,
        size=(width, height),
        fps=wished.fps / rung.divisor,
    )
