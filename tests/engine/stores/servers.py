"""Real servers for tests: skipped with the reason where there are none, but not in CI."""

import os

import pytest

from auralink.bench.fault import servers
from auralink.bench.fault.servers import free_port
from auralink.codecs.errors import InputError

NEED_SERVERS = "TESTS_NEED_SERVERS"  # set by CI: there a missing server is a failure

__all__ = ["PostgresServer", "RedisServer", "free_port", "missing"]


def missing(name: str, remedy: str) -> None:
    """Skip with the reason, or fail where the machine was set up to have it."""
    message = f"no {name}: {remedy}"
    if os.environ.get(NEED_SERVERS):
        pytest.fail(message)
    pytest.skip(message)


class RedisServer(servers.RedisServer):
    def __init__(self) -> None:
        try:
            super().__init__()
        except InputError:
            missing("redis-server", "apt-get install redis-server")


class PostgresServer(servers.PostgresServer):
    def __init__(self) -> None:
        try:
            super().__init__()
        except InputError:
            missing("PostgreSQL", "apt-get install postgresql")
