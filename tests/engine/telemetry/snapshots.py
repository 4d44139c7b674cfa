"""Jobs as `engine.relay.jobs` shows them."""

from typing import Any

from auralink.engine.relay.access import Access
from auralink.engine.relay.job import Place, RelaySettings
from auralink.engine.relay.job_values import JobId, JobSnapshot, JobSpec, JobState

PLACE = Place(access=Access(url="ws://host", key="k", secret="s" * 32), room="room")


def room(identity: str = "aic-up", *, connected: bool = True, losses: int = 0) -> dict[str, Any]:
    return {
        "identity": identity,
        "connected": connected,
        "joins": 1,
        "losses": losses,
        "last_loss": "",
    }


def up(track: str = "TR_1", **changes: Any) -> dict[str, Any]:
    return {
        "track": track,
        "kind": "video",
        "encoder": "hybrid/svt",
        "outcomes": {"coded": 100, "skipped": 10, "dropped_rate": 5},
        "failed": 0,
        "bytes": 20_000,
        "refused": 0,
        **changes,
    }


def down(**changes: Any) -> dict[str, Any]:
    return {
        "track": "aic.v.1",
        "kind": "video",
        "size": [640, 360],
        "packets": 300,
        "overflowed": 0,
        "decoded": 100,
        "frozen": 4,
        "shown": 99,
        "late": 1,
        **changes,
    }


def job(
    *streams: dict[str, Any],
    name: str = "j1",
    state: JobState = JobState.RUNNING,
    restarts: int = 0,
    rooms: tuple[dict[str, Any], ...] = (),
    downs: tuple[dict[str, Any], ...] = (),
) -> JobSnapshot:
    status: dict[str, Any] = {"rooms": list(rooms or (room(),))}
    status["up"] = {"target_bps": 90_000, "left_alone": 0, "bad_messages": 0}
    status["up"]["streams"] = list(streams)
    status["down"] = {"left_alone": 0, "bad_messages": 0, "streams": list(downs)}
    return JobSnapshot(
        id=JobId(name),
        spec=JobSpec(settings=RelaySettings(near=PLACE, far=PLACE), tenant="acme"),
        state=state,
        reason="",
        created=1_000.0,
        since=1_000.0,
        restarts=restarts,
        status=status,
    )
