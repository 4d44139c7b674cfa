"""The schema step by step: valid SQL, the tables that the code uses, one migrator at a time."""

import asyncio

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from auralink.engine.stores.database import schema
from auralink.engine.stores.database.connection import Database
from auralink.engine.stores.database.migrate import check, head, migrate
from auralink.engine.stores.database.records import RecordsSettings, open_records
from auralink.engine.stores.errors import SchemaOutdated

from .rows import interval, session

CONTRACT = {
    "aic_configs",
    "aic_metrics",
    "aic_sessions",
    "aic_model_performance",
    "aic_alerts",
}


async def test_an_empty_database_gets_the_schema_that_the_code_uses(database_url: str) -> None:
    database = Database(database_url)

    done = await migrate(database)

    assert (done.before, done.after) == (None, head())
    async with database.reading() as connection:
        differences = await connection.run_sync(_differences)
        tables = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
    assert differences == []
    assert set(tables) == CONTRACT | {"alembic_version"}
    await database.close()


async def test_steps_lead_back(database_url: str) -> None:
    database = Database(database_url)
    await migrate(database)

    done = await migrate(database, "base")

    assert (done.before, done.after) == (head(), None)
    async with database.reading() as connection:
        tables = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
    assert set(tables) <= {"alembic_version"}
    assert (await migrate(database)).after == head()
    await database.close()


async def test_two_migrators_do_it_once(database_url: str) -> None:
    first, second = Database(database_url), Database(database_url)

    done = await asyncio.gather(migrate(first), migrate(second))

    assert sorted(one.before or "" for one in done) == ["", head()]
    assert {one.after for one in done} == {head()}
    await first.close()
    await second.close()


async def test_a_database_without_its_tables_says_what_to_do(database_url: str) -> None:
    database = Database(database_url)

    with pytest.raises(SchemaOutdated) as caught:
        async with database.reading() as connection:
            await check(connection)

    assert caught.value.__notes__ == ["auralink migrate"]
    await database.close()


async def test_an_old_process_goes_on_beside_a_newer_schema(postgres_url: str) -> None:
    database = Database(postgres_url)
    await migrate(database)
    settings = RecordsSettings(url=postgres_url, required=True, lost_after_s=1e9)
    async with open_records(settings) as running:
        running.write(session(), interval())
        await running.flush()
        async with database.writing() as connection:  # what a step of the next version would do
            await connection.execute(sa.text("ALTER TABLE aic_metrics ADD COLUMN colour text"))
            await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

        running.write(interval(20))
        await running.flush()
        async with open_records(settings) as late:
            assert len(await late.sessions()) == 1
            assert late.status().connected
    await database.close()


def _differences(connection: sa.Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, schema.metadata))
