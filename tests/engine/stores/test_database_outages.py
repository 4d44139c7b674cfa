"""A database that is away, frozen, slow or full: calls go on, and rows wait."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from auralink.bench.fault.network import Proxy, proxied
from auralink.codecs.errors import InputError
from auralink.engine.stores.database.connection import Database, parse_url
from auralink.engine.stores.database.migrate import migrate
from auralink.engine.stores.database.records import RecordsSettings, open_records
from auralink.engine.stores.database.retention import Retention
from auralink.engine.stores.errors import SchemaOutdated, StoreAway, StoreRefused

from .conftest import new_database
from .rows import interval, session
from .servers import PostgresServer


@pytest.fixture
async def network(postgres: PostgresServer) -> AsyncIterator[Proxy]:
    async with proxied(postgres.port) as proxy:
        yield proxy


@pytest.fixture
async def url(postgres: PostgresServer, network: Proxy) -> str:
    """Of a migrated database, through the network."""
    direct = await new_database(postgres)
    database = Database(direct)
    await migrate(database)
    await database.close()
    return direct.replace(str(postgres.port), str(network.port))


def settings(url: str, **changes: object) -> RecordsSettings:
    # The rows of these tests are old, which is not what they are about.
    keep = Retention(metrics_days=100_000)
    values: dict[str, object] = {
        "keep": keep,
        "every_s": 0.01,
        "operation_s": 3.0,
        "lost_after_s": 1e9,
    }
    return RecordsSettings(url=url, **(values | changes))  # type: ignore[arg-type]


async def short_sleep(seconds: float) -> None:
    await asyncio.sleep(min(seconds, 0.01))


async def until(true: Callable[[], bool]) -> None:
    """Wait for what another task brings about."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - a count of the code under test has no event
            await asyncio.sleep(0.01)


async def test_starts_without_the_database_and_writes_when_it_comes(
    network: Proxy, url: str
) -> None:
    await network.go_away()
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(min(seconds, 0.01))

    async with open_records(settings(url), sleep=sleep) as records:
        starting = pauses[:4]
        records.write(session(), interval())
        with pytest.raises(StoreAway):
            await records.sessions()
        assert not records.status().connected
        assert records.status().buffered == 2

        await network.listen()
        await until(lambda: records.status().buffered == 0)

        assert records.status().connected
        assert len(await records.metrics()) == 1
    assert [0.4 <= a <= 0.6 for a in starting[:1]] == [True]
    assert starting == sorted(starting)
    assert len(starting) == 4


async def test_may_be_told_to_fail_instead(network: Proxy, url: str) -> None:
    await network.go_away()

    with pytest.raises(StoreAway, match="is away"):
        async with open_records(settings(url, required=True), sleep=short_sleep):
            pytest.fail("started")


async def test_a_crash_of_the_server_loses_no_row(tmp_path: Path) -> None:
    server = PostgresServer()
    server.start()
    try:
        database = Database(server.url)
        await migrate(database)
        await database.close()
        async with open_records(settings(server.url, required=True)) as records:
            records.write(interval(0))
            await records.flush()

            server.kill()
            for i in range(1, 1_001):
                records.write(interval(i))
            with pytest.raises(StoreAway):
                await records.flush()
            server.start()
            await until(lambda: records.status().buffered == 0)

            found = await records.metrics(limit=2_000)
            assert len(found) == 1_001
            assert records.status().dropped == 0
    finally:
        server.remove()


async def test_a_frozen_server_delays_nobody_for_long(network: Proxy, url: str) -> None:
    async with open_records(settings(url, required=True, operation_s=0.5)) as records:
        records.write(interval())
        await records.flush()

        network.hold()
        async with asyncio.timeout(15.0):  # the deadline of 0.5 s, and 2 s to end the connection
            with pytest.raises(StoreAway, match="no answer in time"):
                await records.sessions()
        records.write(interval(20))
        assert records.status().buffered == 1
        network.release()
        await until(lambda: records.status().buffered == 0)

        assert len(await records.metrics()) == 2


async def test_a_frozen_server_does_not_hold_up_the_end(network: Proxy, url: str) -> None:
    async with asyncio.timeout(20), open_records(settings(url, required=True)) as records:
        records.write(interval())
        await records.flush()
        network.hold()
        records.write(interval(20))  # never written


async def test_a_long_outage_drops_the_oldest_rows_and_counts_them(
    network: Proxy, url: str
) -> None:
    async with open_records(settings(url, capacity=100, required=True)) as records:
        await network.go_away()
        for i in range(150):
            records.write(interval(i))
        with pytest.raises(StoreAway):
            await records.flush()
        status = records.status()
        assert (status.buffered, status.dropped) == (100, 50)

        await network.listen()
        await until(lambda: records.status().buffered == 0)

        oldest = (await records.metrics(limit=1_000))[-1]
        assert oldest == interval(50)
        assert records.status().dropped == 50


async def test_a_slow_statement_is_stopped_in_the_server_too(
    postgres: PostgresServer, postgres_url: str
) -> None:
    database = Database(postgres_url, operation_s=0.3)

    with pytest.raises(StoreAway):
        async with database.reading() as connection:
            await connection.execute(sa.text("SELECT pg_sleep(30)"))

    running = sa.text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")
    async with database.reading() as connection:
        assert await connection.scalar(running) == 0
    await database.close()


async def test_too_many_at_once_are_told_so_within_a_second(postgres_url: str) -> None:
    database = Database(postgres_url, operation_s=5.0, pool=1)
    freed = asyncio.Event()
    busy = 0

    async def occupy() -> None:
        nonlocal busy
        async with database.reading():
            busy += 1
            await freed.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(occupy())
        await until(lambda: busy == 2)
        with pytest.raises(StoreAway, match="no free connection"):
            async with database.reading():
                pytest.fail("one too many")
        freed.set()
    await database.close()


async def test_an_unknown_database_is_the_operators_to_mend(postgres: PostgresServer) -> None:
    attempts = 0

    async def sleep(seconds: float) -> None:
        nonlocal attempts
        attempts += 1

    with pytest.raises(StoreRefused) as caught:
        async with open_records(settings(postgres.url_of("no_such"), required=True), sleep=sleep):
            pytest.fail("started")

    assert caught.value.__notes__
    assert attempts == 0


async def test_missing_tables_are_the_operators_to_mend(postgres_url: str) -> None:
    with pytest.raises(SchemaOutdated) as caught:
        async with open_records(settings(postgres_url, required=True)):
            pytest.fail("started")

    assert caught.value.__notes__ == ["auralink migrate"]


async def test_a_locked_sqlite_file_keeps_the_rows_waiting(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/deep/er/aic.db"
    async with open_records(settings(url, required=True, every_s=60.0)) as records:
        other = Database(url)
        async with other.writing():
            records.write(interval())
            with pytest.raises(StoreAway):
                await records.flush()
            assert records.status().buffered == 1

        await records.flush()

        assert len(await records.metrics()) == 1
        await other.close()


async def test_no_message_holds_the_password(
    caplog: pytest.LogCaptureFixture, network: Proxy, url: str
) -> None:
    await network.go_away()
    secret = "canary-f00d"
    address = url.replace("auralink@", f"auralink:{secret}@")
    caplog.set_level(logging.DEBUG)

    async with open_records(settings(address), sleep=short_sleep) as records:
        with pytest.raises(StoreAway) as caught:
            await records.sessions()

    assert secret not in str(caught.value)
    assert secret not in repr(settings(address))
    assert secret not in str(records.status())
    assert secret not in caplog.text


@pytest.mark.parametrize(
    "bad", ["", "no url", "mysql://host/name", "sqlite://", "sqlite:///:memory:"]
)
def test_an_unusable_address_is_refused_with_an_example(bad: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_url(bad)

    assert caught.value.__notes__


def test_a_bad_address_does_not_show_its_password() -> None:
    with pytest.raises(InputError) as caught:
        parse_url("mysql://user:canary@host/name")

    assert "canary" not in str(caught.value)
