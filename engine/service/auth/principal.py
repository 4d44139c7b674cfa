"""The answer to "who is asking?"."""

import enum
from dataclasses import dataclass


class Role(enum.IntEnum):
    """Each may do what the ones below it may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @classmethod
    def named(cls, name: str) -> "Role":
        """
        Raises:
            KeyError: no such role.
        """
        return cls[name.upper()]

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """
    Attributes:
        subject: who; unique in the tenant.
        tenant: whose things they are: a team, or (where no other is named) the subject itself.  An
            admin sees those of all tenants.
    """

    subject: str
    tenant: str
    role: Role
