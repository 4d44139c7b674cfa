"""Which networks are in use, and putting another version in their place."""

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import Field

from auralink.engine.service.context import Context
from auralink.engine.service.http.problems import USUAL, documented
from auralink.engine.service.http.routes.values import API, Id, PathId, Request, View
from auralink.models.manifest import Precision


class ModelView(View):
    name: str = Field(examples=["restore-s"])
    version: str = Field(examples=["3"])
    precision: Precision
    generation: int = Field(description="counts swaps, from 1", examples=[1])
    detail: str = Field(description="why the last swap was refused", examples=[""])


class ModelList(View):
    models: list[ModelView]


class SwapRequest(Request):
    version: Id = Field(examples=["4"])
    precision: Precision = "int8"


def router(context: Context, guard: type[APIRoute]) -> APIRouter:
    routes = APIRouter(prefix=API, route_class=guard, tags=["models"], responses=USUAL)

    @routes.get("/models")
    async def list_models() -> ModelList:
        """Those in use now."""
        found = context.models.get().loaded()
        return ModelList(models=[ModelView.model_validate(one) for one in found])

    @routes.put("/models/{name}", responses=documented(404))
    async def swap_model(name: PathId, wanted: SwapRequest) -> ModelView:
        """Use another version from the next frame on.  If it is not good, the one before stays."""
        done = await context.models.get().swap(name, wanted.version, wanted.precision)
        return ModelView.model_validate(done)

    return routes
