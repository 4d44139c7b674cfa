"""A span per relay of a job: from its rooms being joined until they are left."""

from typing import Any, final

from auralink.engine.relay.job import RelaySettings
from auralink.engine.relay.opening import OpenRelay, Relay, Told
from auralink.engine.telemetry.tracing import Tracer


def traced(open_relay: OpenRelay, tracer: Tracer) -> OpenRelay:
    def opening(settings: RelaySettings, told: Told) -> Relay:
        return TracedRelay(open_relay(settings, told), settings, tracer)

    return opening


@final
class TracedRelay:
    def __init__(self, relay: Relay, settings: RelaySettings, tracer: Tracer) -> None:
        self._relay = relay
        self._settings = settings
        self._tracer = tracer

    @property
    def connected(self) -> bool:
        return self._relay.connected

    async def run(self) -> None:
        settings = self._settings
        with self._tracer.span(
            "relay",
            role=settings.role.value,
            profile=settings.options.profile,
            rate_bps=settings.options.rate_bps,
        ):
            await self._relay.run()

    def leave(self) -> None:
        self._relay.leave()

    def want_key(self, track: str | None = None) -> int:
        return self._relay.want_key(track)

    def force_rung(self, name: str | None, track: str | None = None) -> int:
        return self._relay.force_rung(name, track)

    def status(self) -> dict[str, Any]:
        return self._relay.status()
