"""F30, F31: an engine is killed in the middle of calls; a room's server refuses its tokens."""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator
from typing import Final

from livekit import api

from auralink.bench.fault.control_rig import Engine
from auralink.bench.fault.rooms_rig import (
    Rooms,
    in_rooms,
    job_of,
    losses,
    rooms,
    start_job,
    stop_job,
    waited_s,
)
from auralink.bench.fault.values import Fault, Trial, expect
from auralink.engine.rehearsal.server import KEY, SECRET

_TAKEN_UP_S: Final = 10.0
_WRONG: Final = "another-secret-of-32-characters-or-so"
_STAYS_AWAY_S: Final = 3.0


@contextlib.contextmanager
def _two_engines() -> Iterator[Rooms]:
    with rooms(shared=True) as rig:
        rig.engines += [rig.start(), rig.start()]
        yield rig


def _killed(rig: Rooms, seed: int) -> Trial:
    """One of two engines with a call each is gone; a new one comes in its place."""
    chance = random.Random(seed)
    at = chance.randrange(2)
    doomed, other = rig.engines[at], rig.engines[1 - at]
    theirs, own = f"theirs-{seed}", f"own-{seed}"
    start_job(doomed, theirs)
    start_job(other, own)
    joined = waited_s(lambda: in_rooms(job_of(doomed, theirs)) and in_rooms(job_of(other, own)))
    time.sleep(chance.random() * 2)
    doomed.process.kill()
    taken_s = waited_s(lambda: in_rooms(job_of(other, theirs)))
    after = job_of(other, own)
    sessions = other.ask("/liveness").status
    for job in (theirs, own):
        stop_job(other, job)
    rig.engines[at] = rig.start()
    return Trial(
        wrong=expect(
            calls_did_not_start=joined is None,
            not_taken_up_in_time=taken_s is None or taken_s > _TAKEN_UP_S,
            other_call_noticed=not in_rooms(after) or bool(losses(after) or after["restarts"]),
            other_engine_not_alive=sessions != 200,
        ),
        recovered_s=taken_s,
    )


@contextlib.contextmanager
def _with_wrong_keys() -> Iterator[Rooms]:
    """Two engines whose second server refuses them: by its secret, and by its key."""
    with rooms(shared=False) as rig:
        for key, secret in ((KEY, _WRONG), ("nobody", SECRET)):
            second = {
                "LIVEKIT_TO_URL": rig.livekit.url,
                "LIVEKIT_TO_API_KEY": key,
                "LIVEKIT_TO_API_SECRET": secret,
                "DATABASE_URL": f"sqlite:///{rig.folder / key}.db",
            }
            rig.engines.append(rig.start(**second))
        yield rig


def _refused(rig: Rooms, seed: int) -> Trial:
    if seed % 3 == 2:
        return _removed(rig, f"removed-{seed}")
    return _never_let_in(rig, rig.engines[seed % 3], f"refused-{seed}")


def _never_let_in(rig: Rooms, one: Engine, job: str) -> Trial:
    """With the wrong secret, or an unknown key."""
    start_job(one, job, server="livekit_to", to_server="livekit_to")
    over_s = waited_s(lambda: job_of(one, job).get("state") == "failed")
    found = job_of(one, job)
    return Trial(
        wrong=expect(
            goes_on_trying=over_s is None or found.get("restarts") != 0,
            why_not_told="token" not in str(found.get("reason")),
            secret_told=any(word in str(found) for word in (_WRONG, SECRET)),
            not_alive=not one.alive,
        ),
        figures={"given up after, s": over_s or 0.0},
    )


def _removed(rig: Rooms, job: str) -> Trial:
    """An administrator of the server takes the bot out of the call, and it stays out."""
    one = rig.engines[0]
    start_job(one, job)
    joined = waited_s(lambda: in_rooms(job_of(one, job)))
    asyncio.run(_remove(rig, f"room-{job}", f"aic-{job}-up"))
    over_s = waited_s(lambda: job_of(one, job).get("state") in ("ended", "failed"))
    time.sleep(_STAYS_AWAY_S)
    people = asyncio.run(_people(rig, f"room-{job}"))
    found = job_of(one, job)
    return Trial(
        wrong=expect(
            call_did_not_start=joined is None,
            did_not_leave=over_s is None,
            came_back=f"aic-{job}-up" in people,
            why_not_told=not found.get("reason"),
            not_alive=not one.alive,
        ),
        figures={"given up after, s": over_s or 0.0},
    )


async def _remove(rig: Rooms, room: str, identity: str) -> None:
    async with api.LiveKitAPI(rig.livekit.url, KEY, SECRET) as admin:
        await admin.room.remove_participant(
            api.RoomParticipantIdentity(room=room, identity=identity)
        )


async def _people(rig: Rooms, room: str) -> set[str]:
    async with api.LiveKitAPI(rig.livekit.url, KEY, SECRET) as admin:
        found = await admin.room.list_participants(api.ListParticipantsRequest(room=room))
        return {one.identity for one in found.participants}


FAULTS: Final = (
    Fault(
        number="F30",
        name="one of two engines with a call each is killed (SIGKILL)",
        expected="its call goes on at the other within 10 s, whose own call does not notice",
        prepare=_two_engines,
        inject=_killed,
    ),
    Fault(
        number="F31",
        name="the room's server refuses a bot: wrong secret, unknown key, taken out of the call",
        expected="the job ends and says why, nothing is tried again, no secret is told",
        prepare=_with_wrong_keys,
        inject=_refused,
        trials=21,
    ),
)
