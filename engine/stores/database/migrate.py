"""Bring a database to the schema of this version, one migrator at a time."""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncConnection

from auralink.engine.stores.database.connection import Database
from auralink.engine.stores.errors import SchemaOutdated

_SCRIPTS: Final = "auralink.engine.stores.database:migrations"
# Any number will do, as long as all migrators take the same.
_LOCK: Final = 0x41_49_43  # "AIC"
_DEADLINE_S: Final = 300.0  # a large table may take long to change; waiting for the lock included


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """Revisions; ``None`` is an empty database."""

    before: str | None
    after: str | None


async def migrate(database: Database, target: str = "head") -> Migrated:
    """Upgrade, in one transaction; a second migrator waits and then finds nothing to do.

    Args:
        target: a revision, or ``head``; an older one than the database's is a step back.

    Raises:
        StoreAway: the database cannot be reached, or another migrator is at it for too long.
        StoreRefused: SQLite's folder cannot be made.
    """
    database.make_folder()
    async with database.writing(deadline_s=_DEADLINE_S) as connection:
        if connection.dialect.name == "postgresql":
            # SQLite has taken its write lock already.
            limit = sa.text(f"SET LOCAL statement_timeout = '{round(_DEADLINE_S)}s'")
            await connection.execute(limit)
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        before = await connection.run_sync(_revision)
        await connection.run_sync(_run, target, before)
        return Migrated(before=before, after=await connection.run_sync(_revision))


async def check(connection: AsyncConnection) -> None:
    """
    Raises:
        SchemaOutdated: steps are missing.  A *newer* schema is fine: while a new version is rolled
            out, old processes go on beside it.
    """
    revision = await connection.run_sync(_revision)
    if revision != head() and (revision is None or revision in _known()):
        error = SchemaOutdated(f"the database is at {revision or 'nothing'}, not at {head()}")
        error.add_note("auralink migrate")
        raise error


def head() -> str:
    """The newest revision that this version knows."""
    found = _scripts().get_current_head()
    assert found is not None
    return found


def _known() -> set[str]:
    return {script.revision for script in _scripts().walk_revisions()}


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    config.set_main_option("path_separator", "os")
    return config


def _revision(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _run(connection: sa.Connection, target: str, before: str | None) -> None:
    config = _config()
    config.attributes["connection"] = connection
    if before is not None and target != "head" and _is_older(target, before):
        command.downgrade(config, target)
        return
    command.upgrade(config, target)


def _is_older(target: str, than: str) -> bool:
    if target == "base":
        return True
    older = {script.revision for script in _scripts().iterate_revisions(than, "base")}
    return target in older - {than}
