"""Five tries, in virtual time."""

import pytest

from auralink.engine.stores.backoff import Backoff
from auralink.engine.stores.connecting import connect
from auralink.engine.stores.errors import StoreAway, StoreRefused


class Attempts:
    """Fails so many times; remembers the pauses."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.made = 0
        self.pauses: list[float] = []
        self._failures = failures
        self._error = error or StoreAway("not yet")

    async def __call__(self) -> None:
        self.made += 1
        if self.made <= self._failures:
            raise self._error

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


async def run(attempts: Attempts, random: float = 0.5) -> None:
    backoff = Backoff(first_s=0.5, cap_s=30.0, jitter=0.2)
    await connect(
        "database", attempts, backoff=backoff, sleep=attempts.sleep, random=lambda: random
    )


async def test_gives_up_after_five_with_pauses_that_double() -> None:
    attempts = Attempts(failures=99)

    with pytest.raises(StoreAway, match="not yet"):
        await run(attempts)

    assert attempts.made == 5
    assert attempts.pauses == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.parametrize(("random", "factor"), [(0.0, 0.8), (1.0, 1.2)])
async def test_pauses_spread_by_a_fifth(random: float, factor: float) -> None:
    attempts = Attempts(failures=99)

    with pytest.raises(StoreAway):
        await run(attempts, random)

    assert attempts.pauses == pytest.approx([factor * pause for pause in (0.5, 1.0, 2.0, 4.0)])


async def test_stops_at_the_first_success() -> None:
    attempts = Attempts(failures=2)

    await run(attempts)

    assert attempts.made == 3
    assert attempts.pauses == [0.5, 1.0]


async def test_does_not_repeat_what_cannot_succeed() -> None:
    attempts = Attempts(failures=99, error=StoreRefused("wrong password"))

    with pytest.raises(StoreRefused):
        await run(attempts)

    assert attempts.made == 1


def test_pauses_are_capped_however_long_an_outage_is() -> None:
    assert Backoff(first_s=0.5, cap_s=10.0, jitter=0.0).pause_s(100_000, 0.3) == 10.0
