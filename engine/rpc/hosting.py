"""The gRPC server as a phase of the engine's start: settings and parts of the context in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, Final, final

from auralink.codecs.base.protocol import BaseEncoder
from auralink.codecs.video.base_session import BaseSettings, OpenBase
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import (
    DEFAULT_PROFILE,
    LEARNED_PROFILES,
    open_base,
    open_encoder,
)
from auralink.codecs.video.protocol import VideoEncoder
from auralink.engine.inference.base import decoder_at, encoder_at
from auralink.engine.inference.hosts import Host
from auralink.engine.inference.remote import RemoteEncoder
from auralink.engine.rpc.access import Visitor
from auralink.engine.rpc.encoders import OpenVideo
from auralink.engine.rpc.parts import ModelFact, Observer, Unobserved, parts_of
from auralink.engine.rpc.server import GrpcServer
from auralink.engine.rpc.settings import RpcSettings
from auralink.engine.rpc.threads import Threads
from auralink.engine.service.auth.principal import Principal
from auralink.engine.service.context import Context
from auralink.engine.service.errors import Limited, Unauthenticated
from auralink.engine.service.lifecycle import Phase
from auralink.engine.service.parts import Part
from auralink.engine.service.settings.tree import Settings
from auralink.engine.stores.protocols import Limit
from auralink.engine.tasks import spawn

_MOST_STREAMS: Final = 32
# A key of a screen at 640x360 takes half a second of a core that is free, and several on a machine
# that is overloaded: which is no hang, and a worker that is killed for it makes things worse.
_HANG_S: Final = 5.0
_HANG_S_PER_MEGAPIXEL: Final = 5.0
_FORCED_S: Final = 0.5  # for calls in progress, once somebody hurries


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hosting:
    """Give this to `Works.further` where ``grpc.enabled`` is on.

    Attributes:
        host: at whose workers pictures are coded and decoded.
    """

    host: Host
    profile: str = DEFAULT_PROFILE
    observer: Observer = field(default_factory=Unobserved)

    def __call__(self, context: Context) -> Phase[Any]:
        part = Part[GrpcServer]("grpc")
        return Phase(part=part, open=lambda: self._open(context))

    @asynccontextmanager
    async def _open(self, context: Context) -> AsyncIterator[GrpcServer]:
        settings = rpc_settings(context.settings.now, self.profile)
        threads = Threads(settings.frames_in_flight)
        parts = parts_of(
            profile=self.profile,
            open_video=encoders_at(self.host, self.profile),
            open_decoder=partial(decoder_at, self.host),
            model=lambda: model_of(context),
            run=threads,
            door=EngineDoor(context),
            observer=self.observer,
            tracer=context.tracer,
        )
        server = GrpcServer(parts, settings, version=context.version)
        draining: list[asyncio.Task[None]] = []
        try:
            await server.start()
            context.ending.on_ask(
                lambda: draining.append(spawn(server.drain(), "rpc-drain", lambda error: None))
            )
            yield server
        finally:
            forced = context.ending.forced.is_set()
            await server.stop(_FORCED_S if forced else None)
            await asyncio.to_thread(threads.close)


def rpc_settings(settings: Settings, profile: str) -> RpcSettings:
    """What the tree of settings says about gRPC; everything else keeps its default."""
    grpc = settings.grpc
    return RpcSettings(
        host=grpc.host,
        port=grpc.port,
        tls=grpc.files(),
        production=settings.environment == "production",
        reflection=grpc.reflection,
        profile=profile,
        max_streams=min(settings.limits.sessions, _MOST_STREAMS),
        drain_s=settings.engine.drain_s,
    )


@final
class EngineDoor:
    """The keys and the limits of the engine, those in force when a call comes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def enter(self, visitor: Visitor) -> Principal:
        try:
            return self._context.access.people.authenticate(
                authorization=visitor.authorization,
                api_key=visitor.api_key,
                now=self._context.clocks.wall(),
            )
        except Unauthenticated:
            most = self._context.settings.now.limits.attempts_per_minute
            # One count for HTTP and gRPC: a guess is a guess.
            await self._hit(f"attempt:{visitor.address}", most, "attempts with bad credentials")
            raise

    async def count(self, caller: Principal) -> None:
        limits = self._context.settings.now.limits
        if limits.enabled:
            key = f"rpc:{caller.tenant}/{caller.subject}"
            await self._hit(key, limits.requests_per_minute, "requests")

    async def _hit(self, key: str, most: int, what: str) -> None:
        decision = await self._context.limiter.get().hit(key, Limit(amount=most))
        if not decision.allowed:
            raise Limited(
                f"at most {decision.limit} {what} a minute", retry_after_s=decision.retry_after_s
            )


def model_of(context: Context) -> ModelFact:
    """The first network in use; one without a name if there is none."""
    models = context.models.peek()
    for model in models.loaded() if models is not None else ():
        return ModelFact(name=model.name, version=model.version, loaded=True)
    return ModelFact(name="", version="", loaded=False)


def encoders_at(host: Host, profile: str) -> OpenVideo:
    """Encoders whose native code and networks run at a host's workers."""

    def opening(*, fps: float, screen: bool) -> VideoEncoder:
        options = EncoderOptions(screen=True if screen else None)
        if profile in LEARNED_PROFILES:
            return encoder_at(host, profile, fps=fps, options=options, clock=perf_counter)
        base = _patient_base(host)
        return open_encoder(profile, fps=fps, options=options, base=base, clock=perf_counter)

    return opening


def _patient_base(host: Host) -> OpenBase:
    """Base encoders that are given up late: nobody waits for them, an answer has its own limit."""

    def open_at_worker(size: tuple[int, int], settings: BaseSettings) -> BaseEncoder:
        megapixels = size[0] * size[1] / 1e6
        return RemoteEncoder(
            partial(open_base, size, settings),
            host=host,
            deadline_s=_HANG_S + _HANG_S_PER_MEGAPIXEL * megapixels,
        )

    return open_at_worker
