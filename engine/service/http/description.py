"""The API's description without an engine behind it."""

import importlib.metadata
import time
from typing import Any

from auralink.engine.relay.opening import Clocks as RelayClocks
from auralink.engine.relay.opening import relay_opener
from auralink.engine.service.compose import Works, compose
from auralink.engine.service.context import Clocks
from auralink.engine.service.http.app import create_app
from auralink.engine.service.settings.load import Sources, load
from auralink.engine.service.settings.reload import LiveSettings


def description() -> dict[str, Any]:
    """OpenAPI of this version.  Opens nothing."""
    sources = Sources(flags={"auth.required": False}, environment={})
    version = importlib.metadata.version("auralink-aic")
    context = compose(
        LiveSettings(load(sources), sources),
        Works(open_relay=relay_opener(version=version, clocks=RelayClocks())),
        clocks=Clocks(wall=time.time, monotonic=time.monotonic),
        version=version,
        engine_id="-",
    )
    return create_app(context).openapi()
