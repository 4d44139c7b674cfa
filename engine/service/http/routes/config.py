"""What a tenant wants of compression."""

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from pydantic import ConfigDict, Field, JsonValue

from auralink.engine.service.auth.principal import Principal
from auralink.engine.service.context import Context
from auralink.engine.service.http.door import caller
from auralink.engine.service.http.problems import USUAL
from auralink.engine.service.http.routes.values import API, Request, View
from auralink.engine.service.wishes import changed, defaults
from auralink.engine.stores.records import Mode, Model, UserConfig

_EXAMPLE: Final[dict[str, JsonValue]] = {
    "enabled": True,
    "mode": "adaptive",
    "target_compression_ratio": 0.8,
    "max_latency_ms": 20,
    "model_type": "hybrid",
    "min_quality_score": 0.85,
    "opt_out": False,
    "data_retention_hours": 0,
}


class ConfigRequest(Request):
    """What is left out is as it was (at first: as the service's own settings say).

    With a mode come its ratio and its latency, where none are given.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE, {"mode": "aggressive"}]})

    enabled: bool | None = None
    mode: Mode | None = None
    target_compression_ratio: float | None = Field(
        default=None, ge=0.1, le=0.95, description="share of the bytes that shall be saved"
    )
    max_latency_ms: int | None = Field(
        default=None, ge=5, le=100, description="for coding a picture, on average"
    )
    model_type: Model | None = Field(default=None, description="others than hybrid are refused")
    min_quality_score: float | None = Field(
        default=None, ge=0.5, le=1.0, description="SSIM; the mode's, any other is refused"
    )
    opt_out: bool | None = None
    data_retention_hours: int | None = Field(default=None, ge=0, le=87_600)


class ConfigView(View):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [_EXAMPLE | {"user_id": "ann", "updated_at": "2026-01-01T00:00:00Z"}]
        }
    )

    user_id: str
    enabled: bool
    mode: Mode
    target_compression_ratio: float
    max_latency_ms: int
    model_type: Model
    min_quality_score: float
    opt_out: bool
    data_retention_hours: int
    updated_at: datetime


def router(context: Context, guard: type[APIRoute]) -> APIRouter:
    routes = APIRouter(prefix=API, route_class=guard, tags=["config"], responses=USUAL)

    async def current(who: Principal) -> UserConfig:
        return await context.configs.get(who.tenant) or defaults_of(context, who.tenant)

    @routes.get("/config")
    async def get_config(who: Annotated[Principal, Depends(caller)]) -> ConfigView:
        """The tenant's; the service's defaults if it never set any."""
        return ConfigView.model_validate(await current(who))

    @routes.post("/config")
    async def set_config(
        wanted: ConfigRequest, who: Annotated[Principal, Depends(caller)]
    ) -> ConfigView:
        """Change the tenant's; jobs that start from now on go by it."""
        now = datetime.fromtimestamp(context.clocks.wall(), UTC)
        config = changed(await current(who), wanted.model_dump(exclude_none=True), now)
        await context.configs.save(config)
        return ConfigView.model_validate(config)

    return routes


def defaults_of(context: Context, tenant: str) -> UserConfig:
    """What holds for a tenant that never set any."""
    since = datetime.fromtimestamp(context.started, UTC)
    return defaults(context.settings.now.compression, tenant, since)
