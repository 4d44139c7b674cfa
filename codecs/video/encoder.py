"""Code frames with a base codec under our own rate, speed and repair control.

::

    frame ──► time, static scene, frame rate ──► plan (rate) ──► scale ──► base encoder ──► packets
                     │ no                            ▲                        │            + parity
                     └──► outcome: skipped, dropped  └── bits, milliseconds ──┘

Every frame gets exactly one outcome.  A frame is dropped only before the base encoder saw it, so
no drop ever breaks a reference.
"""

from dataclasses import dataclass
from typing import Final, final

from auralink.codecs.base.hierarchy import COARSEST, FLAT, Hierarchy
from auralink.codecs.base.protocol import BaseUnit, Capabilities, Order
from auralink.codecs.errors import UnsupportedError
from auralink.codecs.frame import Frame, pad
from auralink.codecs.resample import Resampler
from auralink.codecs.video.base_session import BaseSession, BaseSettings, Clock, OpenBase
from auralink.codecs.video.engine_choice import EngineChoice
from auralink.codecs.video.geometry import base_size, coded_size, scales_for
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.packetizer import MAX_UNIT_BYTES
from auralink.codecs.video.protocol import Coded, Outcome, Wish
from auralink.codecs.video.rate.activity import Activity, ActivityMeter
from auralink.codecs.video.rate.controller import Plan, RateController
from auralink.codecs.video.rate.ladder import Ladder, Rung, rungs, start_rung
from auralink.codecs.video.rate.sharpness import block_grid
from auralink.codecs.video.repair import Repair, RepairPolicy
from auralink.codecs.video.scene_cut import SceneCut
from auralink.codecs.video.screen import looks_rendered
from auralink.codecs.video.speed import SpeedControl
from auralink.codecs.video.static_scene import StaticScene
from auralink.codecs.video.syntax import Profile
from auralink.codecs.video.unit_writer import UnitWriter

_KEY_TRIES: Final = 4  # a key is coded again while it misses its limit by much
_KEY_OVER: Final = 1.15
_KEY_UNDER: Final = 0.7
# In a call every second unit should be droppable, which slower presets do not give.
_SLOWEST_LIVE: Final = 5
_SLOWEST: Final = 3
_COARSER: Final = 12  # quantizer steps: a third of the bytes


@dataclass(slots=True)
class _Stream:
    """What lives as long as the picture size stays."""

    size: tuple[int, int]
    ladder: Ladder
    base: tuple[int, int]
    activity: ActivityMeter
    cut: SceneCut
    rate: RateController | None = None


@final
class BaseLayerEncoder:
    """A ``VideoEncoder`` for the hybrid and native profiles.

    Args:
        open_base: opens a base encoder; may open it in another process.
        fps: nominal frame rate; frames may come at any times.
        clock: for speed control; None keeps the preset, and the output depends on the frames
            alone.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        fps: float,
        options: EncoderOptions,
        open_base: OpenBase,
        clock: Clock | None = None,
    ) -> None:
        self._profile = profile
        self._options = options
        self._fps = fps
        self._clock = clock
        self._open_base = open_base
        self._writer = UnitWriter(profile, fps=fps, neural=options.neural, first=options.first_unit)
        self._repair = RepairPolicy()
        self._resampler = Resampler("lanczos")
        self._session: BaseSession | None = None
        self._speed: SpeedControl | None = None
        self._stream: _Stream | None = None
        self._static = StaticScene(refinements=8)
        self._engine = EngineChoice(options.engine)
        self._last_pts_us: int | None = None
        self._key_s = 0.0  # that the newest try at a key took
        self._captured = 0  # frames since the rung changed
        self._capabilities: Capabilities | None = None
        self._hierarchy: Hierarchy = FLAT

    @property
    def name(self) -> str:
        """The base encoder in use, for people."""
        return "" if self._session is None else self._session.name

    def encode(self, frame: Frame, wish: Wish) -> Coded:
        if wish.report is not None:
            self._repair.report(wish.report)
        if self._last_pts_us is not None and frame.pts_us <= self._last_pts_us:
            return Coded(outcome=Outcome.DROPPED_TIME)
        if frame.pts_us < 0:
            return Coded(outcome=Outcome.DROPPED_TIME)
        stream, changed = self._prepare(frame, wish)
        session = self._require()
        repair = self._repair.next()
        if repair.needed:
            self._use_engine(self._engine.repair(frame.pts_us), stream)
        elif wish.key:
            self._use_engine(self._engine.key(frame.pts_us), stream)
        references = self._capabilities is not None and self._capabilities.references
        key = wish.key or changed or session.must_key or (repair.needed and not references)
        refined = stream.rate is None or stream.rate.refined
        if not key and not repair.needed and refined and self._static.may_skip(frame):
            return self._skip(frame, stream)
        self._captured += 1
        if not key and self._captured % stream.ladder.rung.divisor:
            return Coded(outcome=Outcome.DROPPED_RATE)
        return self._code(frame, wish, stream, repair, key=key)

    def close(self) -> None:
        if self._session is not None:
            self._session.close()

    # -- one frame ---------------------------------------------------------------------------

    def _code(
        self, frame: Frame, wish: Wish, stream: _Stream, repair: Repair, *, key: bool
    ) -> Coded:
        activity = Activity()
        if stream.rate:
            activity = stream.activity.measure(frame, coded_size(stream.base))
        key = key or self._cut(stream, activity)
        plan = self._plan(frame, wish, stream, activity, key=key, repaired=repair.needed)
        if plan is not None and plan.drop:
            return Coded(outcome=Outcome.DROPPED_BACKLOG)
        picture = self._scale(frame, stream.base)
        unit = self._code_base(picture, wish, repair, plan, key=key)
        if plan is not None and unit.key:
            unit, plan = self._fit_key(picture, wish, stream, unit, plan)
        unit = self._bound(picture, wish, unit)
        return self._finish(frame, wish, stream, repair, unit)

    def _cut(self, stream: _Stream, activity: Activity) -> bool:
        """True if the frame should be a key because it is nothing like the one before."""
        if not activity.layers or stream.rate is None:
            return False
        return stream.cut.happened(activity.layers[-1]) and not stream.rate.late

    def _plan(
        self,
        frame: Frame,
        wish: Wish,
        stream: _Stream,
        activity: Activity,
        *,
        key: bool,
        repaired: bool,
    ) -> Plan | None:
        if stream.rate is None or wish.bitrate_bps is None:
            return None
        return stream.rate.plan(
            frame.pts_us,
            wish.bitrate_bps,
            key=key,
            activity=activity,
            restart=repaired,
            backlog_bits=wish.backlog_bits,
        )

    def _scale(self, frame: Frame, base: tuple[int, int]) -> Frame:
        return pad(self._resampler.resize(frame, *base), *coded_size(base))

    def _code_base(
        self, picture: Frame, wish: Wish, repair: Repair, plan: Plan | None, *, key: bool
    ) -> BaseUnit:
        order = Order(
            number=self._writer.number,
            quantizer=self._options.quantizer if plan is None else plan.quantizer,
            exact=plan is not None,
            bitrate_bps=wish.bitrate_bps or 0,
            key=key,
            predict_from=repair.predict_from,
            sharpen=None if plan is None else plan.sharpen,
        )
        session = self._require()
        if self._clock is None or self._speed is None:
            return session.encode(picture, order)
        started = self._clock()
        unit = session.encode(picture, order)
        spent_s = self._clock() - started
        if key:
            # Keys are rare and tried more than once: they say nothing of a preset's usual time.
            self._key_s = spent_s
        elif self._speed.observe(spent_s * 1e3):
            session.change(preset=self._speed.preset)
        return unit

    def _fit_key(
        self, picture: Frame, wish: Wish, stream: _Stream, unit: BaseUnit, plan: Plan
    ) -> tuple[BaseUnit, Plan]:
        """Code a key again until it takes about what it may."""
        rate = stream.rate
        for left in reversed(range(_KEY_TRIES - 1)):
            bits = len(unit.data) * 8
            fits = _KEY_UNDER * plan.limit_bits <= bits <= _KEY_OVER * plan.limit_bits
            if rate is None or fits or not self._worth_another(bits, wish, plan):
                break
            rate.tried(bits, unit.quantizer)
            again = rate.plan_key_again(last=not left)
            if again.quantizer == unit.quantizer:
                break
            plan = again
            unit = self._code_base(picture, wish, Repair(), plan, key=True)
        return unit, plan

    def _worth_another(self, bits: int, wish: Wish, plan: Plan) -> bool:
        """Whether to code a key again.  In a call all that is captured meanwhile waits: too large
        a key must cost the link more time than that, and too small a one is mended by what follows,
        unless a try takes less than a frame's time."""
        if self._clock is None or wish.bitrate_bps is None:
            return True
        saved_s = (bits - plan.limit_bits) / max(wish.bitrate_bps, 1)
        return self._key_s < max(saved_s, 1 / self._fps)

    def _bound(self, picture: Frame, wish: Wish, unit: BaseUnit) -> BaseUnit:
        """Code a unit that packets cannot carry again, as a coarser key."""
        quantizer = unit.quantizer
        while len(unit.data) > MAX_UNIT_BYTES and quantizer < COARSEST:
            quantizer = min(COARSEST, quantizer + _COARSER)
            plan = Plan(quantizer=quantizer)
            unit = self._code_base(picture, wish, Repair(), plan, key=True)
        return unit

    def _finish(
        self, frame: Frame, wish: Wish, stream: _Stream, repair: Repair, unit: BaseUnit
    ) -> Coded:
        coded = self._writer.coded(frame, unit, base=stream.base, parity=wish.parity)
        if stream.rate is not None and wish.bitrate_bps is not None:
            bits = 8 * (coded.payload_bytes + coded.header_bytes)
            stream.rate.coded(bits, unit.quantizer, key=unit.key, layer=unit.layer)
            stream.rate.extra(8 * coded.parity_bytes)
            stream.activity.coded()
            stream.ladder.observe(frame.pts_us, stream.rate.wanted)
        self._repair.sent(coded.number, key=unit.key, repair=repair.needed)
        self._static.coded(frame)
        self._last_pts_us = frame.pts_us
        return coded

    def _skip(self, frame: Frame, stream: _Stream) -> Coded:
        coded = self._writer.skipped(frame, base=stream.base)
        if stream.rate is not None:
            stream.rate.extra(8 * coded.size)
        self._static.skipped()
        self._repair.sent(coded.number, key=False, repair=False)
        self._last_pts_us = frame.pts_us
        return coded

    # -- what changes rarely -----------------------------------------------------------------

    def _prepare(self, frame: Frame, wish: Wish) -> tuple[_Stream, bool]:
        """The stream for this frame, and whether it must start with a key."""
        stream = self._stream
        if stream is None or stream.size != frame.size:
            stream = self._stream = self._start(frame, wish)
            self._begin_rate(stream, wish)
            return stream, True
        rung = stream.ladder.rung
        if self._base_of(stream.size, rung) != stream.base:
            stream.base = self._base_of(stream.size, rung)
            self._resize(frame, stream)
            return stream, True
        if stream.rate is None and wish.bitrate_bps is not None:
            self._begin_rate(stream, wish)
        if stream.rate is not None:
            stream.rate.set_interval(rung.divisor / self._fps)
        return stream, False

    def _bits_per_pixel(self, frame: Frame, wish: Wish) -> float | None:
        if wish.bitrate_bps is None:
            return None
        return wish.bitrate_bps / self._fps / (frame.width * frame.height)

    def _start(self, frame: Frame, wish: Wish) -> _Stream:
        options = self._options
        screen = looks_rendered(frame) if options.screen is None else options.screen
        scaling = options.scaling and self._profile is Profile.HYBRID and not screen
        steps = rungs(scales_for(frame.size, scaling=scaling))
        ladder = Ladder(steps, start=start_rung(steps, self._bits_per_pixel(frame, wish)))
        base = self._base_of(frame.size, ladder.rung)
        pixels = base[0] * base[1]
        if self._speed is None:
            budget_ms = options.cores * 1e3 / self._fps
            self._speed = SpeedControl(
                pinned=options.preset,
                pixels=pixels,
                budget_ms=budget_ms,
                screen=screen,
                slowest=_SLOWEST_LIVE if self._clock else _SLOWEST,
            )
        preset = self._speed.at_key(pixels=pixels, screen=screen)
        if self._session is None:
            settings = BaseSettings(
                codec=self._profile.base_codec or "",
                engine=options.engine,
                fps=self._fps,
                preset=preset,
                screen=screen,
            )
            self._session = BaseSession(self._open_base, settings)
        else:
            self._session.change(preset=preset, screen=screen)
        self._capabilities, self._hierarchy = self._session.open(coded_size(base))
        self._static.reset()
        activity = ActivityMeter(self._hierarchy)
        return _Stream(size=frame.size, ladder=ladder, base=base, activity=activity, cut=SceneCut())

    def _begin_rate(self, stream: _Stream, wish: Wish) -> None:
        if wish.bitrate_bps is None or not self._capabilities or not self._capabilities.quantizer:
            return
        stream.rate = RateController(
            hierarchy=self._hierarchy,
            pixels=stream.base[0] * stream.base[1],
            fps=self._fps,
            grid=self._grid(stream),
            options=self._options.rate,
        )

    def _grid(self, stream: _Stream) -> tuple[int, int] | None:
        """Blocks that the engine in use can sharpen.

        Not of rendered pictures: what a block of text takes nobody foretells (measured: without
        is better on three of three clips).
        """
        can = self._capabilities is not None and self._capabilities.sharpens
        if not can or self._require().settings.screen:
            return None
        return block_grid(coded_size(stream.base))

    def _resize(self, frame: Frame, stream: _Stream) -> None:
        session, speed = self._require(), self._speed
        pixels = stream.base[0] * stream.base[1]
        if speed is not None:
            session.change(preset=speed.at_key(pixels=pixels, screen=session.settings.screen))
        self._capabilities, self._hierarchy = session.open(coded_size(stream.base))
        if stream.rate is not None:
            stream.rate.resize(pixels, self._grid(stream))
        self._static.reset()

    def _use_engine(self, engine: str, stream: _Stream) -> None:
        """Change the AV1 engine; what is coded next is a key."""
        session = self._require()
        if engine == session.settings.engine or self._profile.base_codec != "av1":
            return
        session.change(engine=engine)
        try:
            self._capabilities, self._hierarchy = session.open(coded_size(stream.base))
        except UnsupportedError:
            self._engine.unavailable()
            session.change(engine=self._engine.engine)
            self._capabilities, self._hierarchy = session.open(coded_size(stream.base))
        stream.activity = ActivityMeter(self._hierarchy)
        if stream.rate is not None:
            stream.rate.follow(self._hierarchy, self._grid(stream))

    def _base_of(self, size: tuple[int, int], rung: Rung) -> tuple[int, int]:
        return base_size(size, rung.scale)

    def _require(self) -> BaseSession:
        if self._session is None:
            raise RuntimeError("no session: _prepare comes first")
        return self._session
