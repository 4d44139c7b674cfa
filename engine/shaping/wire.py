"""What the forwarder and its owner say to each other: a line of JSON each way.  Pure."""

import json
from dataclasses import asdict, dataclass, replace

from auralink.codecs.errors import InputError
from auralink.engine.link.netem import LinkCounts, LinkSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Both directions of a link."""

    there: LinkSettings  # near to far
    back: LinkSettings

    @classmethod
    def same(cls, settings: LinkSettings) -> "Shape":
        return cls(there=settings, back=settings)

    @classmethod
    def narrow_there(cls, settings: LinkSettings) -> "Shape":
        """Delay and loss both ways, the rate from near to far only."""
        return cls(there=settings, back=replace(settings, rate_bps=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What became of the packets so far."""

    there: LinkCounts
    back: LinkCounts


def write_shape(shape: Shape) -> bytes:
    return json.dumps({"shape": asdict(shape)}).encode() + b"\n"


def write_question() -> bytes:
    return b"{}\n"


def read_order(line: bytes) -> Shape | None:
    """None: the owner only asks for the counts.

    Raises:
        InputError: not what `write_shape` writes.
    """
    try:
        told = json.loads(line)
        if "shape" not in told:
            return None
        both = {way: LinkSettings(**told["shape"][way]) for way in ("there", "back")}
    except (ValueError, TypeError, KeyError) as wrong:
        raise InputError(f"no order for a link: {wrong}") from wrong
    return Shape(**both)


def write_carried(carried: Carried) -> bytes:
    return json.dumps(asdict(carried)).encode() + b"\n"


def read_carried(line: bytes) -> Carried:
    told = json.loads(line)
    return Carried(there=LinkCounts(**told["there"]), back=LinkCounts(**told["back"]))
