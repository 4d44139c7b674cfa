"""Starting and stopping in every order: what is not there says so, and nothing is closed twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from auralink.engine.service.ending import Ending
from auralink.engine.service.errors import NotReady, ServiceError, StartError
from auralink.engine.service.lifecycle import Lifecycle, Phase, State
from auralink.engine.service.parts import Part

from .services import until


class Opened:
    """A part whose opening can be held up or fail; keeps a diary."""

    def __init__(self, name: str, diary: list[str]) -> None:
        self.part = Part[str](name)
        self.diary = diary
        self.may_open = asyncio.Event()
        self.may_open.set()
        self.fault: Exception | None = None
        self.closing_fault: Exception | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        self.diary.append(f"opening {self.part.name}")
        await self.may_open.wait()
        if self.fault is not None:
            raise self.fault
        try:
            yield self.part.name
        finally:
            self.diary.append(f"closed {self.part.name}")
            if self.closing_fault is not None:
                raise self.closing_fault


def engine(
    *names: str, limit_s: float = 5.0, optional: str = ""
) -> tuple[Lifecycle, dict[str, Opened], list[str]]:
    diary: list[str] = []
    opened = {name: Opened(name, diary) for name in names}
    lifecycle = Lifecycle(limit_s=limit_s)
    for name, one in opened.items():
        lifecycle.add(Phase(part=one.part, open=one.open, required=name != optional))
    return lifecycle, opened, diary


async def test_parts_open_in_order_and_close_in_the_opposite_one() -> None:
    lifecycle, opened, diary = engine("a", "b")

    await lifecycle.start()
    ready = lifecycle.state, opened["a"].part.get(), opened["b"].part.get()
    await lifecycle.stop()

    assert ready == (State.READY, "a", "b")
    assert diary == ["opening a", "opening b", "closed b", "closed a"]
    assert lifecycle.state is State.STOPPED


async def test_what_is_not_there_yet_or_any_more_says_its_name() -> None:
    lifecycle, opened, _ = engine("records")
    part = opened["records"].part

    with pytest.raises(NotReady, match="records: is not started yet"):
        part.get()
    opened["records"].may_open.clear()
    starting = asyncio.create_task(lifecycle.start())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(NotReady, match="records: is starting"):
        part.get()
    opened["records"].may_open.set()
    await starting
    await lifecycle.stop()
    with pytest.raises(NotReady, match="records: is stopped"):
        part.get()


async def test_two_starts_are_one() -> None:
    lifecycle, _, diary = engine("a")

    await asyncio.gather(lifecycle.start(), lifecycle.start())
    await lifecycle.start()

    assert diary == ["opening a"]
    await lifecycle.stop()


async def test_stop_may_be_asked_for_often_and_by_many() -> None:
    lifecycle, _, diary = engine("a")
    await lifecycle.start()

    await asyncio.gather(lifecycle.stop(), lifecycle.stop())
    await lifecycle.stop()

    assert diary == ["opening a", "closed a"]


async def test_stop_before_a_start_leaves_nothing_to_start() -> None:
    lifecycle, _, diary = engine("a")

    await lifecycle.stop()

    assert diary == []
    with pytest.raises(ServiceError, match="starts once"):
        await lifecycle.start()


async def test_stop_while_starting_closes_what_was_opened() -> None:
    lifecycle, opened, diary = engine("a", "b")
    opened["b"].may_open.clear()
    starting = asyncio.create_task(lifecycle.start())
    await until(lambda: "opening b" in diary)

    await lifecycle.stop()

    with pytest.raises(ServiceError, match="stopped while starting"):
        await starting
    assert diary == ["opening a", "opening b", "closed a"]
    assert lifecycle.state is State.STOPPED


async def test_a_start_that_failed_leaves_nothing_open_and_may_be_tried_again() -> None:
    lifecycle, opened, diary = engine("a", "b")
    opened["b"].fault = OSError("no room")

    with pytest.raises(StartError, match="b: no room"):
        await lifecycle.start()
    assert (lifecycle.state, lifecycle.error) == (State.FAILED, "b: no room")
    assert diary == ["opening a", "opening b", "closed a"]
    assert opened["b"].part.state.why == "could not be opened: no room"

    opened["b"].fault = None
    await lifecycle.start()
    assert (lifecycle.state, lifecycle.error) == (State.READY, "")
    await lifecycle.stop()


async def test_a_part_that_is_not_required_may_be_missing() -> None:
    lifecycle, opened, _ = engine("models", "jobs", optional="models")
    opened["models"].fault = RuntimeError("no weights")

    await lifecycle.start()

    assert lifecycle.state is State.READY
    assert opened["jobs"].part.get() == "jobs"
    with pytest.raises(NotReady, match="models: could not be opened: no weights"):
        opened["models"].part.get()
    await lifecycle.stop()


async def test_a_part_that_takes_too_long_has_failed() -> None:
    lifecycle, opened, _ = engine("a", limit_s=0.01)
    opened["a"].may_open.clear()

    with pytest.raises(StartError, match="a: took too long"):
        await lifecycle.start()


async def test_a_fault_in_closing_keeps_nothing_else_open() -> None:
    lifecycle, opened, diary = engine("a", "b")
    opened["b"].closing_fault = OSError("stuck")
    await lifecycle.start()

    await lifecycle.stop()

    assert diary[-1] == "closed a"
    assert lifecycle.state is State.STOPPED


async def test_ending_is_told_at_once_and_once() -> None:
    lifecycle, _, _ = engine("a")
    await lifecycle.start()
    ending = Ending(lifecycle)
    heard: list[State] = []
    ending.on_ask(lambda: heard.append(lifecycle.state))

    ending.signal()
    first = ending.forced.is_set()
    ending.ask()
    ending.signal()

    assert heard == [State.DRAINING]
    assert (first, ending.forced.is_set()) == (False, True)
    await lifecycle.stop()
