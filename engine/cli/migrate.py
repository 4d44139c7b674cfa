"""``auralink migrate``: bring the database to the schema of this version."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from auralink.engine.cli.terminal import Json, out, print_json

# SQLAlchemy, alembic and pydantic are imported where they are used: every command would wait for
# them otherwise.


def migrate(
    database: Annotated[
        str | None,
        typer.Option(help="Address; default: that of the settings. Passwords belong there."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file, TOML or YAML.")] = None,
    secrets: Annotated[Path | None, typer.Option(help="Folder with a file per secret.")] = None,
    to: Annotated[str, typer.Option(help="Revision; an older one goes back.")] = "head",
    check: Annotated[bool, typer.Option("--check", help="Only say whether steps are missing.")] = (
        False
    ),
    json: Json = False,
) -> int:
    """Upgrade the database, in one transaction; several at once do it one after another.

    Exits 0 when the schema is that of this version, 1 (with --check) if steps are missing.
    """
    url = database or _from_settings(config, secrets)
    return asyncio.run(_check(url, json) if check else _migrate(url, to, json))


def _from_settings(config: Path | None, secrets: Path | None) -> str:
    from auralink.engine.service.settings.load import Sources, load

    sources = Sources(flags={}, environment=os.environ, file=config, secrets=secrets)
    return load(sources).settings.database.url.get_secret_value()


async def _migrate(url: str, to: str, json: bool) -> int:
    from auralink.engine.stores.database import migrate as steps
    from auralink.engine.stores.database.connection import Database

    database = Database(url)
    try:
        done = await steps.migrate(database, to)
    finally:
        await database.close()
    if json:
        print_json(done)
    elif done.before == done.after:
        out().print(f"{done.after or 'empty'}, nothing to do")
    else:
        out().print(f"{done.before or 'empty'} -> {done.after or 'empty'}")
    return 0


async def _check(url: str, json: bool) -> int:
    from auralink.engine.stores.database import migrate as steps
    from auralink.engine.stores.database.connection import Database
    from auralink.engine.stores.errors import SchemaOutdated

    database = Database(url)
    missing = ""
    try:
        async with database.reading() as connection:
            await steps.check(connection)
    except SchemaOutdated as error:
        missing = str(error)
    finally:
        await database.close()
    if json:
        print_json({"current": not missing, "head": steps.head()})
    else:
        out().print(missing or f"at {steps.head()}, as this version needs")
    return 1 if missing else 0
