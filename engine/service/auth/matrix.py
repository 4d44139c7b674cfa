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
    BY_SUBJECT = "subject"  # of that tenant


@dataclass(frozen=True, slots=True)
class Rule:
    """
    Attributes:
        role: None: open to everybody, without credentials.
    """

    role: Role | None
    owned: Owned = Owned.BY_NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Of one thing.  ``subject`` matters where things belong to a subject."""

    tenant: str
    subject: str = ""


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


def owns(rule: Rule, principal: Principal, owner: Owner) -> bool:
    if rule.owned is Owned.BY_NOBODY or principal.role is Role.ADMIN:
        return True
    if principal.tenant != owner.tenant:
        return False
    return rule.owned is Owned.BY_TENANT or principal.subject == owner.subject


def check_owner(rule: Rule, principal: Principal, owner: Owner, what: str) -> None:
    """
    Args:
        what: names the thing as the caller named it.

    Raises:
        NotFound: it is somebody else's; who may not see a thing must not learn that it exists.
    """
    if not owns(rule, principal, owner):
        raise NotFound(f"no such {what}")
