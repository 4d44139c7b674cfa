"""The service that most tests of HTTP ask."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ..room.conftest import livekit, own_server, room
from ..stores.conftest import shared_redis
from .services import Service, service_in

__all__ = ["livekit", "own_server", "room", "shared_redis"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with service_in(tmp_path_factory.mktemp("service")) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def service(shared_service: Service) -> Service:
    """One for the module, as if it were new but for what is in its database."""
    await shared_service.forget()
    return shared_service
