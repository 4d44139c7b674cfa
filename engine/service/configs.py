"""Tenants' configs, remembered for a moment: they are read often and change seldom."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, final

from auralink.engine.service.parts import Part
from auralink.engine.stores.errors import StoreAway
from auralink.engine.stores.protocols import Records
from auralink.engine.stores.records import UserConfig

_FRESH_S: Final = 1.0  # for so long a change by another engine may not be seen here
_MOST: Final = 10_000


@final
class Configs:
    """While the database is away, what was read last goes on.

    Of many who want the same, one asks; the others take what was known before.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, records: Part[Records], clock: Callable[[], float]) -> None:
        self._records = records
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, UserConfig | None]] = OrderedDict()
        self._asking: set[str] = set()

    async def get(self, tenant: str) -> UserConfig | None:
        """None: it never set any.

        Raises:
            StoreAway, NotReady: nobody can say, and nobody could before.
        """
        found = self._known.get(tenant)
        fresh = found is not None and self._clock() - found[0] < _FRESH_S
        if found is not None and (fresh or tenant in self._asking):
            return found[1]
        self._asking.add(tenant)
        try:
            config = await self._records.get().config(tenant)
        except StoreAway:
            if found is None:
                raise
            return found[1]
        finally:
            self._asking.discard(tenant)
        self._keep(tenant, config)
        return config

    async def save(self, config: UserConfig) -> None:
        """
        Raises:
            StoreAway, NotReady: it was not saved.
        """
        await self._records.get().save_config(config)
        self._keep(config.user_id, config)

    def _keep(self, tenant: str, config: UserConfig | None) -> None:
        self._known[tenant] = (self._clock(), config)
        self._known.move_to_end(tenant)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
