"""Jobs from LiveKit's own dispatcher: this engine as a worker of it, as long as it serves.

What is assigned becomes a job of this engine like any other: listed over HTTP, steered, counted,
drained.  Other engines do not take it up when this one dies, for they never hear of it: who runs it
is between LiveKit and its workers.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, final

from auralink.codecs.errors import InputError
from auralink.engine.agent.plan import JOB_TYPES, Plan
from auralink.engine.agent.worker import Worker
from auralink.engine.relay.jobs import Jobs
from auralink.engine.relay.request import RelayRequest
from auralink.engine.room.errors import RoomError
from auralink.engine.service.ending import Ending
from auralink.engine.service.errors import ConfigError
from auralink.engine.service.job_order import access_to
from auralink.engine.service.parts import Part
from auralink.engine.service.settings.tree import Settings
from auralink.engine.tasks import spawn

log = logging.getLogger(__name__)

_AGAIN_S: Final = 60.0  # after a refusal: only an operator can mend it, at the server perhaps
_GOODBYE_S: Final = 2.0  # to tell the server how jobs ended
_FORCED_S: Final = 0.3


def plan_of(settings: Settings) -> Plan:
    """
    Raises:
        ConfigError: the default metadata is none.
        Unusable: a server is not set up.
    """
    agent = settings.agent
    try:
        defaults = RelayRequest.parse(agent.defaults)
    except InputError:
        wrong = ConfigError("agent.defaults: is no metadata of a dispatch")
        wrong.add_note("a JSON object; docs/cli.md, auralink worker, has its fields")
        raise wrong from None
    elsewhere = agent.to_server != "livekit"
    return Plan(
        access=access_to(settings, "livekit"),
        far=access_to(settings, agent.to_server) if elsewhere else None,
        defaults=defaults,
        tenant=agent.tenant,
    )


@final
class Registration:
    """Made by `open_registration`.

    Args:
        open_worker: takes what `Worker` calls ``registered``.
        part: is there while the server knows this engine.
    """

    def __init__(
        self,
        open_worker: Callable[[Callable[[str], None]], Worker],
        part: "Part[Registration]",
        *,
        again_s: float = _AGAIN_S,
    ) -> None:
        self._open_worker = open_worker
        self._part = part
        self._again_s = again_s
        self._worker = open_worker(self._changed)
        self._refusing = asyncio.Event()

    def refuse(self) -> None:
        """Take nothing new; jobs go on."""
        self._refusing.set()
        self._worker.refuse()

    async def keep(self) -> None:
        """Until `sign_off`.  A server that refuses is asked again: keys may be put there later."""
        # A part is there as soon as it is open, and this one is open before the server answers, for
        # that may be never: the engine does not wait for it.
        self._changed("is not registered yet")
        while not self._refusing.is_set():
            try:
                await self._worker.run()
                break
            except RoomError as error:
                log.error("LiveKit's dispatcher: %s", error)
                self._changed(str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._again_s):
                    await self._refusing.wait()
            self._worker = self._open_worker(self._changed)

    async def sign_off(self) -> None:
        """When the server has heard how jobs ended."""
        self.refuse()
        await self._worker.sign_off()

    def _changed(self, why: str) -> None:
        if why:
            self._part.gone(why)
        else:
            self._part.ready(self)


@asynccontextmanager
async def open_registration(
    jobs: Jobs,
    plan: Plan,
    settings: Settings,
    ending: Ending,
    part: Part[Registration],
    *,
    version: str,
) -> AsyncIterator[Registration]:
    """Take jobs until the engine is asked to end; sign off when the block ends."""

    def open_worker(registered: Callable[[str], None]) -> Worker:
        return Worker(
            jobs,
            plan,
            agent_name=settings.agent.name,
            job_type=JOB_TYPES[settings.agent.kind],
            version=version,
            told=lambda text: log.info("LiveKit's dispatcher: %s", text),
            registered=registered,
        )

    registration = Registration(open_worker, part)
    ending.on_ask(registration.refuse)
    keeping = spawn(registration.keep(), "dispatcher", lambda error: part.gone("failed"))
    try:
        yield registration
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FORCED_S if ending.forced.is_set() else _GOODBYE_S):
                await registration.sign_off()
                await asyncio.wait([keeping])
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
