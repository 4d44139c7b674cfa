"""Frames of one class in the order in which they run: fair between tenants, earliest deadline first
within one.

Start-time fair queueing (P. Goyal, H. Vin, H. Cheng, "Start-time Fair Queuing", ACM SIGCOMM 1996):
a tenant's next frame starts at the virtual time ``S = max(v, F)``, ends at ``F = S + cost/weight``,
and the tenant with the least S is next; ``v`` is the S of the one that went last.  So a tenant that
sends fifty times its share waits behind itself, and one that was silent cannot save up.  Here a
tenant carries the tag and not the frame, so that within a tenant the order can be by deadline.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import final


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    deadline_us: int
    number: int
    tenant: str = field(compare=False)
    cost_us: float = field(compare=False)


@dataclass(slots=True)
class _Tenant:
    weight: float
    start: float  # S of what it runs next
    entries: list[Entry] = field(default_factory=list)  # by deadline
    work_us: float = 0.0


@final
class FairQueue:
    """
    Args:
        weights: share of each tenant relative to the others; 1 if not named.
    """

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self._weights = dict(weights or {})
        self._tenants: dict[str, _Tenant] = {}
        self._virtual = 0.0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Entry]:
        for tenant in self._tenants.values():
            yield from tenant.entries

    @property
    def work_us(self) -> float:
        return sum(tenant.work_us for tenant in self._tenants.values())

    def waits(self, tenant: str) -> bool:
        """Whether anything of that tenant does."""
        own = self._tenants.get(tenant)
        return own is not None and bool(own.entries)

    def push(self, entry: Entry) -> None:
        tenant = self._tenants.get(entry.tenant)
        if tenant is None:
            self._forget()
            weight = self._weights.get(entry.tenant, 1.0)
            tenant = self._tenants[entry.tenant] = _Tenant(weight, self._virtual)
        elif not tenant.entries:
            tenant.start = max(self._virtual, tenant.start)
        insort(tenant.entries, entry)
        tenant.work_us += entry.cost_us
        self._size += 1

    def first(self) -> Entry | None:
        """What `pop` would give."""
        tenant = self._next()
        return None if tenant is None else tenant.entries[0]

    def pop(self) -> Entry | None:
        tenant = self._next()
        if tenant is None:
            return None
        entry = tenant.entries.pop(0)
        self._virtual = tenant.start
        tenant.start += entry.cost_us / tenant.weight
        self._left(tenant, entry)
        return entry

    def remove(self, entry: Entry) -> None:
        """Take one out that will not run: it costs its tenant nothing."""
        tenant = self._tenants[entry.tenant]
        tenant.entries.remove(entry)
        self._left(tenant, entry)

    def rest(self) -> None:
        """Nothing waits here and nothing runs: nobody owes anybody anything."""
        if self._size == 0:
            self._tenants.clear()
            self._virtual = 0.0

    def ahead_us(self, entry: Entry) -> float:
        """Work that runs before this entry if it is pushed now and nothing comes after it."""
        own = self._tenants.get(entry.tenant)
        weight = self._weights.get(entry.tenant, 1.0)
        start = self._virtual if own is None else max(self._virtual, own.start)
        before = 0.0
        if own is not None:
            at = bisect_left(own.entries, entry)  # mostly behind all of them
            before = own.work_us
            if at < len(own.entries):
                before = sum(other.cost_us for other in own.entries[:at])
            start += before / weight
        for tenant in self._tenants.values():
            if tenant is own or not tenant.entries or tenant.start > start:
                continue
            # The frame that crosses our start still goes first, hence one more of the mean cost.
            mean_us = tenant.work_us / len(tenant.entries)
            before += min(tenant.work_us, (start - tenant.start) * tenant.weight + mean_us)
        return before

    def _next(self) -> _Tenant | None:
        waiting = (tenant for tenant in self._tenants.values() if tenant.entries)
        return min(waiting, key=lambda one: (one.start, one.entries[0]), default=None)

    def _left(self, tenant: _Tenant, entry: Entry) -> None:
        self._size -= 1
        tenant.work_us = tenant.work_us - entry.cost_us if tenant.entries else 0.0

    def _forget(self) -> None:
        """Tenants that wait for nothing and whose time has come: they are as good as new."""
        gone = [
            name
            for name, tenant in self._tenants.items()
            if not tenant.entries and tenant.start <= self._virtual
        ]
        for name in gone:
            del self._tenants[name]
