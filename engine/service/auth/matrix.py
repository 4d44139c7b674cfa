"""Who may do what: one row per operation, in one table that HTTP and gRPC fill and check.

A row has the least role and says whose things the operation touches.  An operation without a row is
refused at start, and a test compares the table with what OpenAPI and the proto describe.
"""

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from auralink.engine.service.auth.principal import Principal, Role
from auralink.engine.service.errors import ConfigError, Forbidden, NotFound


class Owned(enum.Enum):
    """Whose things an operation touches."""

    BY_NOBODY = "nobody"  # facts about the engine itself
    BY_TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class Rule:
    """
    Attributes:
        role: None: open to everybody, without credentials.
    """

    role: Role | None
    owned: Owned = Owned.BY_NOBODY


Matrix: TypeAlias = Mapping[str, Rule]

PUBLIC: Final = Rule(None)


def check_complete(matrix: Matrix, operations: Collection[str]) -> None:
    """
    Raises:
        ConfigError: an operation has no row, or a row has no operation.
    """
    bare = sorted(set(operations) - set(matrix))
    idle = sorted(set(matrix) - set(operations))
    if bare or idle:
        raise ConfigError(
            f"authorisation matrix: no row for {bare or 'none'}, no operation for {idle or 'none'}"
        )


def check_role(rule: Rule, principal: Principal) -> None:
    """
    Raises:
        Forbidden: the role is too low.
    """
    if rule.role is not None and principal.role < rule.role:
        raise Forbidden(
            f"this needs the role {rule.role.label}, and {principal.role.label} was given"
        )


def check_owner(rule: Rule, principal: Principal, tenant: str, what: str) -> None:
    """
    Args:
        tenant: whose thing it is.
        what: names the thing as the caller named it.

    Raises:
        NotFound: it is somebody else's; who may not see a thing must not learn that it exists.
    """
    everybodys = rule.owned is Owned.BY_NOBODY or principal.role is Role.ADMIN
    if not everybodys and principal.tenant != tenant:
        raise NotFound(f"no such {what}")
