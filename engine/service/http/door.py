"""Before an operation: who asks, how often, and whether they may.

All of it happens before the body of a request is read.
"""

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any, Final, final

from fastapi import Request, Response
from fastapi.routing import APIRoute

from auralink.engine.service.auth.matrix import Rule, check_owner, check_role
from auralink.engine.service.auth.principal import Principal, Role
from auralink.engine.service.context import Context
from auralink.engine.service.errors import Limited, Unauthenticated
from auralink.engine.service.http.matrix import MATRIX
from auralink.engine.stores.protocols import Limit

_VIEWER: Final = Rule(Role.VIEWER)


@final
class Door:
    """In front of all operations."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.operations: set[str] = set()  # that it stands in front of

    async def admit(self, request: Request, operation: str) -> None:
        """Leave the caller in ``request.state.caller``, or refuse.

        Raises:
            Unauthenticated, Forbidden, Limited, NotReady
        """
        rule = self._rule(operation)
        if rule.role is None:
            return
        caller = await self._caller(request)
        check_role(rule, caller)
        limits = self._context.settings.now.limits
        if limits.enabled:
            key = f"http:{caller.tenant}/{caller.subject}"
            await self._count(key, limits.requests_per_minute, "requests")
        request.state.caller = caller

    def _rule(self, operation: str) -> Rule:
        metrics = operation == "get_prometheus_metrics"
        if metrics and not self._context.settings.now.http.open_metrics:
            return _VIEWER
        return MATRIX[operation]

    async def _caller(self, request: Request) -> Principal:
        try:
            return self._context.access.people.authenticate(
                authorization=_single(request, "authorization"),
                api_key=_single(request, "x-api-key"),
                now=self._context.clocks.wall(),
            )
        except Unauthenticated:
            await self._count_attempt(request)
            raise

    async def _count_attempt(self, request: Request) -> None:
        """Guessing is bounded per address, whatever `limits.enabled` says."""
        http = self._context.settings.now.http
        address = client_address(request, http.trusted_proxies)
        most = self._context.settings.now.limits.attempts_per_minute
        await self._count(f"attempt:{address}", most, "attempts with bad credentials")

    async def _count(self, key: str, most: int, what: str) -> None:
        decision = await self._context.limiter.get().hit(key, Limit(amount=most))
        if not decision.allowed:
            raise Limited(
                f"at most {decision.limit} {what} a minute", retry_after_s=decision.retry_after_s
            )


def guarded(door: Door) -> type[APIRoute]:
    """The class of all routes: the door comes before anything else that a route does."""

    class GuardedRoute(APIRoute):
        def __init__(self, *args: Any, **more: Any) -> None:
            more["generate_unique_id_function"] = _own_name
            super().__init__(*args, **more)
            door.operations.add(self.name)

        def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
            handle = super().get_route_handler()

            async def behind_the_door(request: Request) -> Response:
                await door.admit(request, self.name)
                return await handle(request)

            return behind_the_door

    return GuardedRoute


def _own_name(route: APIRoute) -> str:
    """Of an operation, in OpenAPI and in the matrix."""
    return route.name


async def caller(request: Request) -> Principal:
    """Who asks.  For operations that are not public."""
    found: Principal = request.state.caller
    return found


def scope_of(who: Principal) -> str | None:
    """Whose rows a caller sees: its tenant's, or (an admin) everybody's."""
    return None if who.role is Role.ADMIN else who.tenant


def check_owned(operation: str, who: Principal, tenant: str, what: str) -> None:
    """
    Raises:
        NotFound: it is another tenant's.
    """
    check_owner(MATRIX[operation], who, tenant, what)


def client_address(request: Request, proxies: tuple[Any, ...]) -> str:
    """Where a request came from; the word of others counts only if they are trusted."""
    peer = request.client.host if request.client is not None else ""
    hops = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",")]
    address = peer
    while _among(address, proxies) and hops:
        following = hops.pop()
        if _parsed(following) is None:
            break
        address = following
    return address


def _among(address: str, networks: tuple[Any, ...]) -> bool:
    found = _parsed(address)
    return found is not None and any(
        found.version == network.version and found in network for network in networks
    )


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def _single(request: Request, name: str) -> str | None:
    """A header that must not come twice: which of two would count is anybody's guess."""
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise Unauthenticated
    return values[0] if values else None
