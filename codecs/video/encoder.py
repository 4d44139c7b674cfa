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

from auralink.codecs.av1.obu import strip
from auralink.codecs.base.hierarchy import COARSEST, FLAT, Hierarchy
from auralink.codecs.base.protocol import BaseUnit, Capabilities, Order
from auralink.codecs.errors import UnsupportedError
from auralink.codecs.frame import Frame, pad
from auralink.codecs.resample import Resampler
from auralink.codecs.video.base_session import BaseSession, BaseSettings, Clock, OpenBase
from auralink.codecs.video.engine_choice import EngineChoice
from auralink.codecs.video.geometry import base_size, coded_size, scales_for
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.packetizer import MAX_UNIT_BYTES, Packetizer, Unit
from auralink.codecs.video.parity import ParitySender
from auralink.codecs.video.protocol import Coded, Kind, Outcome, Wish
from auralink.codecs.video.rate.activity import ActivityMeter
from auralink.codecs.video.rate.controller import Plan, RateController
from auralink.codecs.video.rate.ladder import Ladder, Rung, rungs
from auralink.codecs.video.repair import Repair, RepairPolicy
from auralink.codecs.video.screen import looks_rendered
from auralink.codecs.video.speed import SpeedControl
from auralink.codecs.video.static_scene import StaticScene
from auralink.codecs.video.syntax import Profile, StreamConfig

RESTORE_MODEL: Final = 1  # the super-resolution weights that hybrid streams ask for

_KEY_TRIES: Final = 3  # a key is coded again while it misses its limit by much
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
        self._packetizer = Packetizer()
        self._parity = ParitySender()
        self._repair = RepairPolicy()
        self._resampler = Resampler("lanczos")
        self._session: BaseSession | None = None
        self._speed: SpeedControl | None = None
        self._stream: _Stream | None = None
        self._static = StaticScene(refinements=8)
        self._engine = EngineChoice(options.engine)
        self._number = 0
        self._last_coded = 0  # number of the newest unit with a picture
        self._last_pts_us: int | None = None
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
        if not key and not repair.needed and self._static.may_skip(frame):
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
        plan = self._plan(frame, wish, stream, key=key, repaired=repair.needed)
        if plan is not None and plan.drop:
            return Coded(outcome=Outcome.DROPPED_BACKLOG)
        picture = self._scale(frame, stream.base)
        unit = self._code_base(picture, wish, repair, plan, key=key)
        if plan is not None and unit.key:
            unit, plan = self._fit_key(picture, wish, stream, unit, plan)
        unit = self._bound(picture, wish, unit)
        return self._finish(frame, wish, stream, repair, unit)

    def _plan(
        self, frame: Frame, wish: Wish, stream: _Stream, *, key: bool, repaired: bool
    ) -> Plan | None:
        if stream.rate is None or wish.bitrate_bps is None:
            return None
        return stream.rate.plan(
            frame.pts_us,
            wish.bitrate_bps,
            key=key,
            activities=stream.activity.measure(frame),
            restart=repaired,
        )

    def _scale(self, frame: Frame, base: tuple[int, int]) -> Frame:
        return pad(self._resampler.resize(frame, *base), *coded_size(base))

    def _code_base(
        self, picture: Frame, wish: Wish, repair: Repair, plan: Plan | None, *, key: bool
    ) -> BaseUnit:
        order = Order(
            number=self._number,
            quantizer=self._options.quantizer if plan is None else plan.quantizer,
            exact=plan is not None,
            bitrate_bps=wish.bitrate_bps or 0,
            key=key,
            predict_from=repair.predict_from,
        )
        session = self._require()
        if self._clock is None or self._speed is None:
            return session.encode(picture, order)
        started = self._clock()
        unit = session.encode(picture, order)
        if self._speed.observe((self._clock() - started) * 1e3):
            session.change(preset=self._speed.preset)
        return unit

    def _fit_key(
        self, picture: Frame, wish: Wish, stream: _Stream, unit: BaseUnit, plan: Plan
    ) -> tuple[BaseUnit, Plan]:
        """Code a key again until it takes about what it may."""
        rate = stream.rate
        for _ in range(_KEY_TRIES - 1):
            bits = len(unit.data) * 8
            fits = _KEY_UNDER * plan.limit_bits <= bits <= _KEY_OVER * plan.limit_bits
            if rate is None or fits:
                break
            rate.tried(bits, unit.quantizer)
            again = rate.plan_key_again()
            if again.quantizer == unit.quantizer:
                break
            plan = again
            unit = self._code_base(picture, wish, Repair(), plan, key=True)
        return unit, plan

    def _bound(self, picture: Frame, wish: Wish, unit: BaseUnit) -> BaseUnit:
        """Code a unit that packets cannot carry again, as a coarser key."""
        quantizer = unit.quantizer
        while len(unit.data) > MAX_UNIT_BYTES and quantizer < COARSEST:
            quantizer = min(COARSEST, quantizer + _COARSER)
            plan = Plan(quantizer=quantizer)
            unit = self._code_base(picture, wish, Repair(), plan, key=True)
        return unit

    def _finish(
        self,
        frame: Frame,
        wish: Wish,
        stream: _Stream,
        repair: Repair,
        coded: BaseUnit,
    ) -> Coded:
        config = self._config(frame, stream) if coded.key else None
        payload = strip(coded.data) if self._profile.base_codec == "av1" else coded.data
        packets = self._packetizer.packetize(
            Unit(
                kind=Kind.KEY if coded.key else Kind.DELTA,
                number=self._number,
                reference=coded.reference,
                depends=coded.depends,
                pts_us=frame.pts_us,
                config=config,
                payload=payload,
            )
        )
        parity = self._parity.protect(packets, reference=coded.reference, strength=wish.parity)
        size = sum(map(len, packets))
        parity_bytes = sum(map(len, parity))
        if stream.rate is not None and wish.bitrate_bps is not None:
            stream.rate.coded(size * 8, coded.quantizer, key=coded.key, layer=coded.layer)
            stream.rate.extra(parity_bytes * 8)
            stream.activity.coded()
            stream.ladder.observe(frame.pts_us, stream.rate.wanted)
        self._repair.sent(self._number, key=coded.key, repair=repair.needed)
        self._static.coded(frame)
        self._last_coded = self._number
        self._last_pts_us = frame.pts_us
        self._number += 1
        return Coded(
            outcome=Outcome.CODED,
            packets=packets + parity,
            number=self._number - 1,
            kind=Kind.KEY if coded.key else Kind.DELTA,
            reference=coded.reference,
            layer=coded.layer,
            quantizer=coded.quantizer,
            base_size=stream.base,
            payload_bytes=len(payload),
            header_bytes=size - len(payload),
            parity_bytes=parity_bytes,
        )

    def _skip(self, frame: Frame, stream: _Stream) -> Coded:
        packets = self._packetizer.packetize(
            Unit(
                kind=Kind.SKIP,
                number=self._number,
                reference=False,
                depends=(self._last_coded,),
                pts_us=frame.pts_us,
            )
        )
        size = sum(map(len, packets))
        if stream.rate is not None:
            stream.rate.extra(size * 8)
        self._static.skipped()
        self._repair.sent(self._number, key=False, repair=False)
        self._last_pts_us = frame.pts_us
        self._number += 1
        return Coded(
            outcome=Outcome.SKIPPED,
            packets=packets,
            number=self._number - 1,
            kind=Kind.SKIP,
            reference=False,
            base_size=stream.base,
            header_bytes=size,
        )

    def _config(self, frame: Frame, stream: _Stream) -> StreamConfig:
        smaller = stream.base != stream.size
        return StreamConfig(
            profile=self._profile,
            width=frame.width,
            height=frame.height,
            base_width=stream.base[0],
            base_height=stream.base[1],
            model_id=RESTORE_MODEL if smaller and self._options.neural else 0,
            pts_us=frame.pts_us,
            interval_ns=round(1e9 / self._fps),
        )

    # -- what changes rarely -----------------------------------------------------------------

    def _prepare(self, frame: Frame, wish: Wish) -> tuple[_Stream, bool]:
        """The stream for this frame, and whether it must start with a key."""
        stream = self._stream
        if stream is None or stream.size != frame.size:
            stream = self._stream = self._start(frame)
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

    def _start(self, frame: Frame) -> _Stream:
        options = self._options
        screen = looks_rendered(frame) if options.screen is None else options.screen
        scaling = options.scaling and self._profile is Profile.HYBRID and not screen
        ladder = Ladder(rungs(scales_for(frame.size, scaling=scaling)))
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
        return _Stream(size=frame.size, ladder=ladder, base=base, activity=activity)

    def _begin_rate(self, stream: _Stream, wish: Wish) -> None:
        if wish.bitrate_bps is None or not self._capabilities or not self._capabilities.quantizer:
            return
        stream.rate = RateController(
            hierarchy=self._hierarchy,
            pixels=stream.base[0] * stream.base[1],
            fps=self._fps,
            options=self._options.rate,
        )

    def _resize(self, frame: Frame, stream: _Stream) -> None:
        session, speed = self._require(), self._speed
        pixels = stream.base[0] * stream.base[1]
        if speed is not None:
            session.change(preset=speed.at_key(pixels=pixels, screen=session.settings.screen))
        self._capabilities, self._hierarchy = session.open(coded_size(stream.base))
        if stream.rate is not None:
            stream.rate.resize(pixels)
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
            stream.rate.follow(self._hierarchy)

    def _base_of(self, size: tuple[int, int], rung: Rung) -> tuple[int, int]:
        return base_size(size, rung.scale)

    def _require(self) -> BaseSession:
        if self._session is None:
            raise RuntimeError("no session: _prepare comes first")
        return self._session
