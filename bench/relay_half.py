"""Half of a relay that its owner can ask and disturb, for the soak and for breaks.

::

    python -m auralink.bench.relay_half ROLE NEAR_URL FAR_URL KEY SECRET RATE

Orders: ``tasks`` (how many it has), ``cut`` (lose the signal connections, and tell in
``resumed_s`` how long it took until the last was resumed).  Leaves when stdin ends.
"""

import asyncio
import sys
import time
from collections.abc import Sequence

from auralink.engine.cli import loop
from auralink.engine.rehearsal.lines import orders, tell
from auralink.engine.rehearsal.people import Person
from auralink.engine.rehearsal.server import KEY, SECRET
from auralink.engine.rehearsal.stage import FAR_ROOM, NEAR_ROOM, Stage
from auralink.engine.relay.access import Access
from auralink.engine.relay.job import Place, RelayJob, RelaySettings, Role
from auralink.engine.relay.options import RelayOptions
from auralink.engine.room.livekit_room import LiveKitRoom
from auralink.engine.shaping.thin_link import Side


def half(on_stage: Stage, role: str, side: Side, rate_bps: int) -> Person:
    words = [role, on_stage.near.url, on_stage.far.url, KEY, SECRET, str(rate_bps)]
    command = [sys.executable, "-m", "auralink.bench.relay_half", *words]
    return Person(f"relay {role}", on_stage.sites.inside(side, command), {})


async def main(arguments: Sequence[str]) -> None:
    role, near, far, key, secret, rate = arguments
    job = RelayJob(
        RelaySettings(
            near=Place(access=Access(url=near, key=key, secret=secret), room=NEAR_ROOM),
            far=Place(access=Access(url=far, key=key, secret=secret), room=FAR_ROOM),
            role=Role(role),
            options=RelayOptions(rate_bps=int(rate)),
        ),
        version="bench",
        clock=time.monotonic,
    )
    async with asyncio.TaskGroup() as group:  # a relay that fails ends the process
        group.create_task(job.run())
        async for order in orders():
            if order == "cut":
                tell(resumed_s=await _cut([bot.room for bot in job.bots]))
            else:
                tell(tasks=len(asyncio.all_tasks()))
        job.leave()


async def _cut(rooms: Sequence[object]) -> float:
    """Seconds until all are resumed."""
    ours = [room.signal for room in rooms if isinstance(room, LiveKitRoom)]
    wanted = [signal.session.counts.resumes + 1 for signal in ours]
    began = time.monotonic()
    for signal in ours:
        signal.cut()
    while [signal.session.counts.resumes for signal in ours] != wanted:  # noqa: ASYNC110  # a count
        await asyncio.sleep(0.005)
    return time.monotonic() - began


if __name__ == "__main__":
    loop.run(main(sys.argv[1:]))  # as commands that stay do
