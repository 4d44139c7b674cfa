"""The errors of drivers, sorted by who must act."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
import sqlalchemy as sa

from auralink.engine.stores.errors import SchemaOutdated, StoreAway, StoreError, StoreRefused

_NO_RIGHTS: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,  # wrong user or password
    asyncpg.InvalidCatalogNameError,  # no such database
    asyncpg.InsufficientPrivilegeError,
)
_NO_TABLE: Final = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)


class RowRefused(StoreError):
    """The database answered, and does not take this row: a bad value, a broken rule."""


@asynccontextmanager
async def translated(where: str) -> AsyncIterator[None]:
    """
    Args:
        where: the address for the message, without its password.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise sort(error.orig or error, where) from error
    except sa.exc.TimeoutError as error:
        raise StoreAway(f"no free connection to {where}") from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise sort(error, where) from error


def sort(error: BaseException, where: str) -> StoreError:
    """What an error of a driver means.  Its text is quoted in part: drivers put values into it."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    if any(isinstance(one, _NO_TABLE) for one in chain) or "no such table" in str(error):
        outdated = SchemaOutdated(f"the tables are missing or old in {where}")
        outdated.add_note("auralink migrate")
        return outdated
    if any(isinstance(one, _NO_RIGHTS) for one in chain):
        refused = StoreRefused(f"{where} refuses this user, or has no such database")
        refused.add_note("check user, password and name in the database address")
        return refused
    names = {base.__name__ for one in chain for base in type(one).__mro__}
    if names & {"IntegrityError", "DataError", "UntranslatableCharacterError"}:
        return RowRefused(f"{where} does not take a row: {type(chain[-1]).__name__}")
    if isinstance(error, TimeoutError):
        return StoreAway(f"{where} gave no answer in time")
    return StoreAway(f"{where} is away: {type(chain[-1]).__name__}")
