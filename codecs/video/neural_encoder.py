"""Code frames with learned networks under rate control, loss and repair.

::

    frame ──► time, static scene, frame rate ──► plan (rate) ──► picture code ──► packets
                 │ no                                 ▲              │   ▲
                 └──► outcome: skipped, dropped       └─── bits ─────┘   └── states, by number

A state is kept for every coded frame that the receiver may still have (`Ring`).  While the receiver
has lost something, frames are predicted from a state that it has acknowledged; if there is none
left, by a key.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from auralink.codecs.errors import EncoderError, InputError
from auralink.codecs.frame import Frame
from auralink.codecs.neural import picture_code
from auralink.codecs.neural.networks import NeuralNetworks
from auralink.codecs.neural.packing import MAX_AREA, Planes, padded
from auralink.codecs.neural.picture_code import Made, State
from auralink.codecs.neural.ring import Ring
from auralink.codecs.video.neural_rate import (
    KEY_TRIES,
    NeuralRate,
    Plan,
    levels_of,
    quantizer_of,
)
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.packetizer import MAX_DATA_BYTES, MAX_FRAGMENTS
from auralink.codecs.video.protocol import Coded, Outcome, Wish
from auralink.codecs.video.rate.ladder import Ladder, rungs
from auralink.codecs.video.repair import Repair, RepairPolicy
from auralink.codecs.video.scene_cut import SceneCut
from auralink.codecs.video.static_scene import MAX_SKIPS, StaticScene
from auralink.codecs.video.syntax import Profile
from auralink.codecs.video.unit_writer import UnitWriter

# Bytes of a payload: a packet less its number, one distance, index and count, and a correction ...
_DELTA_LIMIT: Final = MAX_DATA_BYTES - 11
_KEY_LIMIT: Final = MAX_DATA_BYTES - 5 - 30  # ... or a configuration, the largest there is
_SCALES: Final = (1.0,)  # the networks know no other: at least the frame rate goes down
_COARSER: Final = 40  # levels: half of the bits
_REFINEMENTS: Final = 8  # frames to code after the last change before a scene counts as static


@dataclass(slots=True)
class _Stream:
    """What lives as long as the picture size stays."""

    size: tuple[int, int]
    ladder: Ladder
    cut: SceneCut
    rate: NeuralRate | None = None


@final
class NeuralEncoder:
    """A ``VideoEncoder`` for the learned profiles.

    Args:
        fps: nominal frame rate; frames may come at any times.
    """

    def __init__(
        self, profile: Profile, networks: NeuralNetworks, *, fps: float, options: EncoderOptions
    ) -> None:
        self._networks = networks
        self._options = options
        self._fps = fps
        self._label = profile.label
        self._writer = UnitWriter(profile, fps=fps, neural=True, first=options.first_unit)
        self._repair = RepairPolicy()
        self._static = StaticScene(refinements=_REFINEMENTS)
        self._stream: _Stream | None = None
        self._states: Ring[State] = Ring()
        self._last_pts_us: int | None = None
        self._captured = 0  # frames since the frame rate changed

    @property
    def name(self) -> str:
        """The codec in use, for people."""
        return self._label

    def encode(self, frame: Frame, wish: Wish) -> Coded:
        """
        Raises:
            InputError: the picture is larger than networks are run on.
        """
        if wish.report is not None:
            self._repair.report(wish.report)
        late = self._last_pts_us is not None and frame.pts_us <= self._last_pts_us
        if late or frame.pts_us < 0:
            return Coded(outcome=Outcome.DROPPED_TIME)
        stream = self._prepare(frame, wish)
        repair = self._repair.next()
        reference = None if wish.key else self._reference(repair)
        following = reference is not None and not repair.needed
        if following and stream.rate is None and self._static.may_skip(frame):
            return self._skip(frame, stream)
        self._captured += 1
        if reference is not None and self._captured % stream.ladder.rung.divisor:
            return Coded(outcome=Outcome.DROPPED_RATE)
        return self._code(frame, wish, stream, repair, reference)

    def close(self) -> None:
        self._states.clear()

    # -- one frame ---------------------------------------------------------------------------

    def _code(
        self, frame: Frame, wish: Wish, stream: _Stream, repair: Repair, reference: int | None
    ) -> Coded:
        rate = stream.rate
        if rate is not None and stream.cut.happened(rate.measure(frame)):
            reference = None
        plan = self._plan(frame, wish, rate, key=reference is None)
        if plan.drop:
            return Coded(outcome=Outcome.DROPPED_BACKLOG)
        picture = padded(frame)
        if reference is None:
            made, level = self._key(picture, rate, plan)
            return self._finish(frame, wish, stream, made, level, repair, reference)
        newest = reference == self._states.newest and not repair.needed
        skippable = newest and self._writer.number - reference <= MAX_SKIPS
        made, level = self._delta(picture, reference, plan.level, skippable=skippable)
        if made.silent:
            return self._skip(frame, stream)
        return self._finish(frame, wish, stream, made, level, repair, reference)

    def _plan(self, frame: Frame, wish: Wish, rate: NeuralRate | None, *, key: bool) -> Plan:
        if rate is None or wish.bitrate_bps is None:
            delta_level, key_level = levels_of(self._options.quantizer)
            return Plan(level=key_level if key else delta_level)
        return rate.plan(frame.pts_us, wish.bitrate_bps, key=key, backlog_bits=wish.backlog_bits)

    def _key(self, picture: Planes, rate: NeuralRate | None, plan: Plan) -> tuple[Made, int]:
        """Code a key, again until it takes about what it may; and the level it has."""
        made, level = self._within(
            lambda at: picture_code.encode_key(self._networks, picture, at, _KEY_LIMIT), plan.level
        )
        for _ in range(KEY_TRIES - 1):
            again = rate.again(level, _bits(made), plan) if rate is not None else None
            if again is None:
                break
            plan = again
            made, level = self._within(
                lambda at: picture_code.encode_key(self._networks, picture, at, _KEY_LIMIT),
                plan.level,
            )
        return made, level

    def _delta(
        self, picture: Planes, reference: int, level: int, *, skippable: bool
    ) -> tuple[Made, int]:
        before = self._states.get(reference)
        assert before is not None  # `_reference` names only what is there
        return self._within(
            lambda at: picture_code.encode_delta(
                self._networks, picture, before, at, _DELTA_LIMIT, skippable=skippable
            ),
            level,
        )

    def _within(self, code: Callable[[int], Made], level: int) -> tuple[Made, int]:
        """Code, coarser if packets cannot carry it; and the level that was used.

        Raises:
            EncoderError: not even the coarsest fits.
        """
        while True:
            try:
                made = code(level)
                if len(made.payloads) <= MAX_FRAGMENTS:
                    return made, level
                raise EncoderError(f"a picture of {len(made.payloads)} packets")
            except EncoderError:
                if level == 0:
                    raise
            level = max(0, level - _COARSER)

    def _finish(
        self,
        frame: Frame,
        wish: Wish,
        stream: _Stream,
        made: Made,
        level: int,
        repair: Repair,
        reference: int | None,
    ) -> Coded:
        depends = () if reference is None else (reference,)
        coded = self._writer.learned(
            frame,
            made.payloads,
            depends=depends,
            level=level,
            model_id=self._networks.model_id,
            parity=wish.parity,
        )
        key = reference is None
        if key:
            self._states.clear()
        self._states.keep(coded.number, made.state)
        if stream.rate is not None and wish.bitrate_bps is not None:
            bits = 8 * (coded.payload_bytes + coded.header_bytes)
            stream.rate.coded(level, bits, key=key)
            stream.rate.extra(8 * coded.parity_bytes)
            stream.ladder.observe(frame.pts_us, quantizer_of(stream.rate.wanted))
        self._repair.sent(coded.number, key=key, repair=repair.needed)
        self._static.coded(frame)
        self._last_pts_us = frame.pts_us
        return coded

    def _skip(self, frame: Frame, stream: _Stream) -> Coded:
        coded = self._writer.skipped(frame, base=frame.size)
        if stream.rate is not None:
            stream.rate.extra(8 * coded.size)
        self._static.skipped()
        self._repair.sent(coded.number, key=False, repair=False)
        self._last_pts_us = frame.pts_us
        return coded

    # -- what changes rarely -----------------------------------------------------------------

    def _prepare(self, frame: Frame, wish: Wish) -> _Stream:
        stream = self._stream
        if stream is None or stream.size != frame.size:
            if frame.width * frame.height > MAX_AREA:
                raise InputError(
                    f"picture of {frame.width}x{frame.height}: {self._label} codes up to "
                    f"{MAX_AREA:,} samples"
                )
            stream = _Stream(size=frame.size, ladder=Ladder(rungs(_SCALES)), cut=SceneCut())
            self._stream = stream
            self._states.clear()
            self._static.reset()
        if stream.rate is None and wish.bitrate_bps is not None:
            pixels = frame.width * frame.height
            stream.rate = NeuralRate(pixels=pixels, fps=self._fps, options=self._options.rate)
        if stream.rate is not None:
            stream.rate.set_interval(stream.ladder.rung.divisor / self._fps)
        return stream

    def _reference(self, repair: Repair) -> int | None:
        """The newest state that may be predicted from; None: a key is due."""
        for number in self._states.numbers():
            if repair.predict_from is None or number in repair.predict_from:
                return number
        return None


def _bits(made: Made) -> int:
    return 8 * sum(map(len, made.payloads))
