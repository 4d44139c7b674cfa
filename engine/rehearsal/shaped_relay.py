"""Both halves of a relay in one process, an emulated link between them.

::

    python -m auralink.engine.rehearsal.shaped_relay SETTINGS

Takes JSON: rooms, rate, profile, codec options of the link.  Orders: ``carried``, which tells what
the link did so far.  Leaves when stdin ends.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from auralink.codecs.video.profiles import open_decoder
from auralink.engine.garbage import spare_what_lives
from auralink.engine.link.netem import LinkSettings
from auralink.engine.rehearsal.lines import now_us, orders, tell
from auralink.engine.rehearsal.server import KEY, SECRET
from auralink.engine.rehearsal.shaped_room import ShapedRoom
from auralink.engine.relay.access import Access
from auralink.engine.relay.bots import Bot, Crew, Duty
from auralink.engine.relay.downlink import Downlink
from auralink.engine.relay.options import RelayOptions
from auralink.engine.relay.uplink import Uplink
from auralink.engine.room.livekit_room import LiveKitRoom
from auralink.models.runtime import open_networks


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the demo asks for."""

    url: str
    near: str
    far: str
    rate_bps: int
    profile: str
    seed: int
    link: LinkSettings


def write_order(order: Order) -> str:
    return json.dumps(asdict(order))


def read_order(text: str) -> Order:
    told: dict[str, Any] = json.loads(text)
    return Order(**told | {"link": LinkSettings(**told["link"])})


async def main(order: Order) -> None:
    source, sender, receiver = (
        _bot(order, name, room)
        for name, room in (("aic-src", order.near), ("aic-up", order.far), ("aic-down", order.far))
    )
    shaped = ShapedRoom(sender.room, order.link, seed=order.seed, now_us=now_us)
    sender.room = shaped
    options = RelayOptions(
        rate_bps=order.rate_bps,
        start_bps=min(order.rate_bps, RelayOptions().start_bps),
        profile=order.profile,
    )
    uplink = Uplink(source.room, shaped, options, clock=time.monotonic)
    downlink = Downlink(
        receiver.room,
        receiver.room,
        identities=frozenset({"aic-up"}),
        decoder=lambda: open_decoder(open_networks()),
    )
    source.add(Duty(changed=uplink.changed))
    sender.add(Duty(control=uplink.control))
    receiver.add(Duty(changed=downlink.changed, control=downlink.control))
    crew = Crew([source, sender, receiver], [uplink.run, downlink.run])
    running = asyncio.create_task(crew.run())
    async for _ in orders():
        tell(carried=asdict(shaped.carried))
    crew.leave()
    await running


def _bot(order: Order, identity: str, room: str) -> Bot:
    access = Access(url=order.url, key=KEY, secret=SECRET)
    token = access.token_for(room, identity, publishes=True)
    return Bot(lambda listener: LiveKitRoom(order.url, token, listener, version="rehearsal"))


if __name__ == "__main__":
    spare_what_lives()
    asyncio.run(main(read_order(sys.argv[1])))
