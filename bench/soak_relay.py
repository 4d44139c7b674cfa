"""Half of a relay for the soak, which tells how many tasks it has.

::

    python -m auralink.bench.soak_relay ROLE NEAR_URL FAR_URL KEY SECRET RATE

Orders: ``tasks``.  Leaves when stdin ends.
"""

import asyncio
import sys
import time

from auralink.engine.cli import loop
from auralink.engine.rehearsal.lines import orders, tell
from auralink.engine.rehearsal.stage import FAR_ROOM, NEAR_ROOM
from auralink.engine.relay.access import Access
from auralink.engine.relay.job import Place, RelayJob, RelaySettings, Role
from auralink.engine.relay.options import RelayOptions


async def main(arguments: list[str]) -> None:
    role, near, far, key, secret, rate = arguments
    job = RelayJob(
        RelaySettings(
            near=Place(access=Access(url=near, key=key, secret=secret), room=NEAR_ROOM),
            far=Place(access=Access(url=far, key=key, secret=secret), room=FAR_ROOM),
            role=Role(role),
            options=RelayOptions(rate_bps=int(rate)),
        ),
        version="soak",
        clock=time.monotonic,
    )
    async with asyncio.TaskGroup() as group:  # a relay that fails ends the process, and so the soak
        group.create_task(job.run())
        async for _ in orders():
            tell(tasks=len(asyncio.all_tasks()))
        job.leave()


if __name__ == "__main__":
    loop.run(main(sys.argv[1:]))  # as commands that stay do
