"""What a relay does right now, for people and machines."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol

from auralink.engine.relay.bots import Bot
from auralink.engine.relay.downlink import Downlink
from auralink.engine.relay.downlink_streams import AudioDownlink, VideoDownlink
from auralink.engine.relay.uplink import Uplink
from auralink.engine.relay.uplink_streams import AudioUplink, VideoUplink


class Parts(Protocol):
    """What a relay is made of."""

    @property
    def bots(self) -> Sequence[Bot]: ...

    @property
    def uplink(self) -> Uplink | None: ...

    @property
    def downlink(self) -> Downlink | None: ...


def status(job: Parts) -> dict[str, Any]:
    """Everything, as plain values."""
    rooms = [
        {
            "identity": bot.room.identity,
            "connected": bot.state.connected,
            "joins": bot.state.joins,
            "losses": bot.state.losses,
            "last_loss": bot.state.last_loss,
        }
        for bot in job.bots
    ]
    found: dict[str, Any] = {"rooms": rooms}
    if job.uplink is not None:
        found["up"] = {
            "target_bps": job.uplink.budget.total_bps,
            "left_alone": job.uplink.counts.left_alone,
            "refused": job.uplink.counts.refused,
            "bad_messages": job.uplink.counts.bad_messages,
            "streams": [
                {**_up(sid, work), "original_bytes": _original_bytes(job, sid)}
                for sid, work in job.uplink.streams.items()
            ],
        }
    if job.downlink is not None:
        found["down"] = {
            "left_alone": job.downlink.left_alone,
            "bad_messages": job.downlink.bad_messages,
            "streams": [_down(sid, work) for sid, work in job.downlink.streams.items()],
        }
    return found


def line(job: Parts) -> str:
    """The same in a line."""
    parts = []
    told = status(job)
    if "up" in told:
        streams = told["up"]["streams"]
        sent = sum(stream["bytes"] for stream in streams)
        parts.append(
            f"up: {len(streams)} tracks, {sent / 1000:,.0f} kB sent, "
            f"target {told['up']['target_bps'] / 1000:,.0f} kbit/s"
        )
    if "down" in told:
        streams = told["down"]["streams"]
        shown = sum(stream.get("shown", 0) for stream in streams)
        frozen = sum(stream.get("frozen", 0) for stream in streams)
        parts.append(f"down: {len(streams)} tracks, {shown} pictures, {frozen} frozen")
    away = [room["identity"] or "?" for room in told["rooms"] if not room["connected"]]
    if away:
        parts.append(f"not in the room: {', '.join(away)}")
    return "; ".join(parts)


def _up(sid: str, work: object) -> dict[str, Any]:
    if isinstance(work, VideoUplink):
        told = {"track": sid, "kind": "video", "encoder": work.name, **asdict(work.counts)}
        if work.fallback is not None:
            told |= {"rung": work.fallback.rung, "cause": work.fallback.cause.value}
            told["answers"] = work.answers
        return told
    if isinstance(work, AudioUplink):
        return {"track": sid, "kind": "audio", **asdict(work.counts)}
    return {"track": sid}


def _original_bytes(job: Parts, sid: str) -> int | None:
    """Of a track as it came from its room; None where nobody counts."""
    found = [bot.room.received_bytes(sid) for bot in job.bots]
    return next((count for count in found if count is not None), None)


def _down(sid: str, work: object) -> dict[str, Any]:
    if isinstance(work, VideoDownlink):
        told = {"track": sid, "kind": "video", "size": list(work.size), **asdict(work.counts)}
        return told | {"answers": work.answers}
    if isinstance(work, AudioDownlink):
        return {"track": sid, "kind": "audio", **asdict(work.counts)}
    return {"track": sid}
