"""What somebody should know, until somebody says it is over."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.routing import APIRoute
from pydantic import Field

from auralink.engine.service.auth.principal import Principal
from auralink.engine.service.context import Context
from auralink.engine.service.errors import NotFound
from auralink.engine.service.http.door import caller, scope_of
from auralink.engine.service.http.problems import USUAL, documented
from auralink.engine.service.http.routes.values import API, PathId, Request, View
from auralink.engine.stores.records import AlertKind, Severity


class AlertView(View):
    alert_id: str = Field(examples=["b1c2d3"])
    kind: AlertKind
    severity: Severity
    message: str = Field(examples=["95 % of frames took up to 41 ms; 30 ms are wanted"])
    created_at: datetime
    call_id: str | None
    participant_id: str | None
    value: float | None
    threshold: float | None
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None


class Alerts(View):
    alerts: list[AlertView]


class Resolution(Request):
    note: str | None = Field(default=None, max_length=1000, examples=["the link was moved"])


def router(context: Context, guard: type[APIRoute]) -> APIRouter:
    routes = APIRouter(prefix=API, route_class=guard, tags=["alerts"], responses=USUAL)

    @routes.get("/alerts")
    async def list_alerts(
        who: Annotated[Principal, Depends(caller)],
        resolved: Annotated[bool | None, Query(description="only those, or only open ones")] = None,
        severity: Severity | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> Alerts:
        """Newest first."""
        rows = await context.records.get().alerts(
            owner=scope_of(who), resolved=resolved, severity=severity, limit=limit
        )
        return Alerts(alerts=[AlertView.model_validate(row) for row in rows])

    @routes.patch("/alerts/{alert_id}/resolve", responses=documented(404))
    async def resolve_alert(
        alert_id: PathId,
        who: Annotated[Principal, Depends(caller)],
        resolution: Resolution | None = None,
    ) -> AlertView:
        """Say that it is over.  Once more changes nothing."""
        row = await context.records.get().resolve_alert(
            alert_id,
            by=who.subject,
            now=datetime.fromtimestamp(context.clocks.wall(), UTC),
            note=None if resolution is None else resolution.note,
            owner=scope_of(who),
        )
        if row is None:
            raise NotFound(f"no alert {alert_id}")
        return AlertView.model_validate(row)

    return routes
