"""What is deleted and what stays."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from auralink.engine.stores.database import schema, statements
from auralink.engine.stores.database.connection import Database
from auralink.engine.stores.database.migrate import migrate
from auralink.engine.stores.database.retention import Retention, end_lost, sweep
from auralink.engine.stores.records import UserConfig

from .rows import NOON, after, alert, interval, session, window

DAY = 86_400.0


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await migrate(database)
    yield database
    await database.close()


async def column(database: Database, column: sa.Column[str]) -> list[str]:
    async with database.reading() as connection:
        return list(await connection.scalars(sa.select(column).order_by(column)))


async def test_old_rows_go_and_open_ones_stay(database: Database) -> None:
    async with database.writing() as connection:
        await statements.write(
            connection,
            [
                *(interval(-40 * DAY + i) for i in range(2_500)),  # more than one chunk
                interval(-DAY, track_id="recent"),
                window(-40 * DAY, model="old"),
                window(-DAY, model="recent"),
                session("old", started_at=after(-101 * DAY), ended_at=after(-100 * DAY)),
                session("open", started_at=after(-100 * DAY)),
                alert("old", created_at=after(-200 * DAY)),
                alert("open", created_at=after(-200 * DAY), kind="gpu_overload"),
                alert("old", resolved_at=after(-100 * DAY)),
            ],
        )

    gone = await sweep(database, Retention(), NOON)

    assert gone == 2_503
    assert await column(database, schema.metrics.c.track_id) == ["recent"]
    assert await column(database, schema.models.c.model) == ["recent"]
    assert await column(database, schema.sessions.c.session_id) == ["open"]
    assert await column(database, schema.alerts.c.alert_id) == ["open"]
    assert await sweep(database, Retention(), NOON) == 0


async def test_a_user_may_ask_for_less(database: Database) -> None:
    async with database.writing() as connection:
        for owner, hours in (("brief", 2), ("day", 24)):
            config = UserConfig(user_id=owner, data_retention_hours=hours, updated_at=NOON)
            await statements.write_config(connection, config)
        rows = [
            interval(-3600 * age, owner=owner, track_id=f"{owner}-{age}")
            for owner in ("brief", "day", "service")
            for age in (1, 3, 25)
        ]
        await statements.write(connection, rows)

    await sweep(database, Retention(), NOON)

    assert await column(database, schema.metrics.c.track_id) == [
        *("brief-1", "day-1", "day-3"),
        *("service-1", "service-25", "service-3"),
    ]


async def test_a_session_that_nobody_speaks_of_is_ended_when_it_was_last_seen(
    database: Database,
) -> None:
    async with database.writing() as connection:
        await statements.write(
            connection,
            [
                session("dead", seen_at=after(100), call_id="a"),
                session("silent", started_at=after(50), call_id="b"),
                session("alive", seen_at=after(190), call_id="c"),
            ],
        )

    assert await end_lost(database, after(200), timedelta(seconds=30)) == 2

    async with database.reading() as connection:
        table = schema.sessions
        found = await connection.execute(
            sa.select(table.c.session_id, table.c.ended_at, table.c.end_reason)
        )
    assert {row[0]: (row[1], row[2]) for row in found} == {
        "dead": (after(100), "lost"),
        "silent": (after(50), "lost"),
        "alive": (None, None),
    }
