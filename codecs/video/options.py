"""What a user may choose about an encoder, apart from its profile."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from auralink.codecs.errors import InputError
from auralink.codecs.video.rate.controller import RateOptions

Engine: TypeAlias = Literal["auto", "svt", "aom", "pyav"]

PRESETS = range(1, 13)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderOptions:
    """
    Attributes:
        preset: effort, 1 (best) to 12 (fastest); None lets speed control choose.
        quantizer: 1 (finest) to 63, in use while the wish names no bitrate.
        screen: tools for rendered content; None decides by looking at the first picture.
        scaling: the base may be coded smaller than the picture when the rate is too low.
        neural: the stream may ask the decoder for the super-resolution network.
        engine: AV1 engine; ``auto`` takes SVT-AV1 and, where references get lost, libaom.
        first_unit: number of the first unit.  A stream that goes on with another encoder must go on
            counting, or its receivers take the new units for old ones.
        cores: share of processor cores that encoding may use, for speed control.
    """

    preset: int | None = None
    quantizer: float = 40.0
    screen: bool | None = None
    scaling: bool = True
    neural: bool = True
    engine: Engine = "auto"
    first_unit: int = 0
    cores: float = 1.0
    rate: RateOptions = field(default_factory=RateOptions)

    def __post_init__(self) -> None:
        if self.preset is not None and self.preset not in PRESETS:
            raise InputError(f"preset {self.preset}: 1 (best) to 12 (fastest) can be used")
        if self.first_unit < 0:
            raise InputError(f"no unit has the number {self.first_unit}")
        if not 1 <= self.quantizer <= 63:
            raise InputError(f"quantizer {self.quantizer}: 1 (finest) to 63 can be used")
