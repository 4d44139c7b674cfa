"""SVT-AV1 under per-frame control: the library inside the PyAV wheel, through ctypes.

No header and no compiler are needed.  One frame in, one packet out, a quantizer per frame, key
frames on request.  From preset 5 on, units of the top layer (every second frame) are never
referenced.

The library waits for itself for ever now and then when pictures follow its packets at once; see
`svt_instance`, which leaves it a millisecond.  An instance that hangs all the same is left behind
with an error, and costs a key; in a worker process with a shorter deadline the delay is less.

The library cannot be told which references to use, so a unit depends on the reference unit before
it, and through that on all since the key.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Final, final

from auralink.codecs.base import svt_abi as abi
from auralink.codecs.base.hierarchy import COARSEST, Hierarchy, Offset, clip_quantizer
from auralink.codecs.base.protocol import BaseUnit, Capabilities, Order
from auralink.codecs.base.svt_instance import SvtInstance
from auralink.codecs.errors import EncoderError, UnsupportedError
from auralink.codecs.frame import Frame

MIN_SIDE: Final = 16  # smaller pictures are padded by the caller

# Slower presets predict from top-layer frames as well (measured: one lost, all that follow differ).
_DROPPABLE_FROM: Final = 5

# Releases whose map of regions was tried.
_REGIONS_IN: Final = ((4, 1),)

# The low-delay structure (pred-struct 1, three hierarchical levels): a dyadic hierarchy in coding
# order.  The encoder follows the quantizer of the picture header to the letter (use-q-file), so
# the offsets are ours; one quantizer for all layers would cost 36 to 49 % more bits.  Found by
# search from those of the library's constant-quality mode; see docs/base-encoders.md.
CAMERA_HIERARCHY: Final = Hierarchy(
    layers=(0, 3, 2, 3, 1, 3, 2, 3),
    offsets=(
        Offset(at_coarsest=9.0, per_step=0.05),
        Offset(at_coarsest=5.0, per_step=0.03),
        Offset(at_coarsest=2.0),
        Offset(at_coarsest=0.0),
    ),
    key=Offset(at_coarsest=24.0, per_step=0.10),
)
# Rendered pictures are mostly still and mostly intra: a key as fine as above would be most of the
# stream at low rates.
SCREEN_HIERARCHY: Final = replace(CAMERA_HIERARCHY, key=Offset(at_coarsest=18.0, per_step=0.20))


def find_library() -> Path:
    """The libSvtAv1Enc that PyAV brings along.

    Raises:
        UnsupportedError: this PyAV was built without it.
    """
    import av

    package = Path(av.__file__).parent
    beside = package.parent
    folders = (beside / "av.libs", package / ".dylibs", beside / "av.dylibs", package)
    for folder in folders:
        found = sorted(folder.glob("*SvtAv1Enc*"))
        if found:
            return found[0]
    raise UnsupportedError("this PyAV carries no SVT-AV1: install the wheel, `pip install av`")


@final
class SvtAv1:
    """A ``BaseEncoder`` on SVT-AV1 4.1 or 4.2.

    Args:
        size: even width and height, at least ``MIN_SIDE`` each.
        preset: 1 (best) to 12 (fastest); 12 is coded as 11.
        screen: use the tools for rendered content (palette, intra block copy).
        realtime: the library's reduced real-time tool set: 1.8 times as fast, 4 % more bits.

    Raises:
        UnsupportedError: no usable library.
        EncoderError: the library refused these settings.
    """

    def __init__(
        self,
        size: tuple[int, int],
        fps: float,
        *,
        preset: int,
        screen: bool = False,
        realtime: bool = False,
        library: Path | None = None,
    ) -> None:
        # The library prints its banner on stderr unless told so before it is first used.  Errors
        # come back as codes; the one that ends a map of regions is meant.
        os.environ.setdefault("SVT_LOG", "0")
        path = library or find_library()
        try:
            self._lib = abi.load(str(path))
        except (OSError, AttributeError) as exc:
            raise UnsupportedError(f"{path.name} cannot be used as SVT-AV1: {exc}") from exc
        self._version = abi.version(self._lib)
        if self._version[:2] not in abi.SUPPORTED:
            raise UnsupportedError(
                f"SVT-AV1 {'.'.join(map(str, self._version))} is not one of the releases whose "
                f"structures are known ({', '.join(f'{a}.{b}' for a, b in abi.SUPPORTED)})"
            )
        self._fps = fps
        self._preset = min(preset, abi.FASTEST_PRESET)
        self._screen = screen
        self._realtime = realtime
        self._droppable = preset >= _DROPPABLE_FROM
        self._hierarchy = SCREEN_HIERARCHY if screen else CAMERA_HIERARCHY
        self._size = size
        self._position = 0  # frames since the key
        self._last_reference = 0
        self._instance = self._open(size)

    @property
    def name(self) -> str:
        number = ".".join(map(str, self._version))
        return f"SVT-AV1 {number} preset {self._preset}{' screen' if self._screen else ''}"

    @property
    def codec(self) -> str:
        return "av1"

    @property
    def hierarchy(self) -> Hierarchy:
        return self._hierarchy

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            quantizer=True,
            references=False,
            droppable=self._droppable,
            size_at_key=True,
            sharpens=self._instance.sharpens,
        )

    def encode(self, frame: Frame, order: Order) -> BaseUnit:
        if self._instance.closed:
            raise EncoderError("SVT-AV1 encoder is closed: open a new one")
        key = order.key or self._position == 0
        if frame.size != self._size:
            if not key:
                raise EncoderError(f"size may go from {self._size} to {frame.size} at a key only")
            self.close()
            self._instance = self._open(frame.size)
            self._size = frame.size
        if key:
            self._position = 0
        layer = self._hierarchy.layer(self._position)
        quantizer = clip_quantizer(
            order.quantizer
            if order.exact
            else self._hierarchy.quantizer(order.quantizer, layer, key=key)
        )
        sharpen = None if key else order.sharpen
        data, layer = self._instance.code(frame, quantizer, key=key, sharpen=sharpen)
        reference = layer < self._hierarchy.top or not self._droppable
        depends = () if key else (self._last_reference,)
        if reference:
            self._last_reference = order.number
        self._position += 1
        return BaseUnit(
            data=data,
            number=order.number,
            key=key,
            reference=reference,
            depends=depends,
            layer=layer,
            quantizer=quantizer,
        )

    def close(self) -> None:
        self._instance.close()

    def _open(self, size: tuple[int, int]) -> SvtInstance:
        width, height = size
        options = {
            "w": width,
            "h": height,
            "fps-num": max(1, round(self._fps * 1000)),
            "fps-denom": 1000,
            "input-depth": 8,
            "preset": self._preset,
            "pred-struct": 1,  # low delay: one in, one out
            "hierarchical-levels": 3,
            "rtc": int(self._realtime),
            "rc": 0,
            # Nothing is coded with this one, but the library searches less thoroughly the finer it
            # is.  Preset 6 with 63 needs 6 % fewer bits than preset 5 in its own constant-quality
            # mode, in the same time (three people clips).
            "qp": COARSEST,
            "use-q-file": 1,  # obey the quantizer in each picture's header
            "scm": int(self._screen),
            "scd": 0,
            "lp": 1,  # one core: other streams want the rest
            "keyint": -1,  # keys on request only
        }
        regions = self._version[:2] in _REGIONS_IN
        return SvtInstance(self._lib, options, regions=regions)
