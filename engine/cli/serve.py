"""``auralink serve``: the engine as a service."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from auralink.engine.cli import loop
from auralink.engine.cli.settings import ConfigFile, SecretsFolder, sources
from auralink.engine.cli.terminal import note
from auralink.engine.service.settings.load import load
from auralink.engine.service.settings.reload import LiveSettings

# What the service is made of is imported once the settings are known to be good: so bad ones are
# refused at once.


def serve(
    config: ConfigFile = None,
    secrets: SecretsFolder = None,
    host: Annotated[str | None, typer.Option(help="Of HTTP; default 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Of HTTP; default 8000; 0: a free one.")] = None,
    grpc_port: Annotated[int | None, typer.Option(help="Default 50051; 0: a free one.")] = None,
    grpc: Annotated[bool | None, typer.Option("--grpc/--no-grpc")] = None,
    open_doors: Annotated[
        bool, typer.Option("--open", help="Without authentication; on loopback only.")
    ] = False,
    drain: Annotated[
        float | None, typer.Option(help="Seconds that calls get after SIGTERM; default 30.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning, error.")] = None,
    log_format: Annotated[str | None, typer.Option(help="json, text, auto.")] = None,
) -> int:
    """Serve HTTP and gRPC until SIGTERM or Ctrl-C.

    The first signal drains: not ready at once, jobs go on until the deadline.  The second one ends
    at once (exit code 130).  SIGHUP reads the settings again.
    """
    flags = {
        "http.host": host,
        "http.port": port,
        "grpc.port": grpc_port,
        "grpc.enabled": grpc,
        "auth.required": False if open_doors else None,
        "engine.drain_s": drain,
        "log.level": log_level,
        "log.format": log_format,
    }
    return _serve(config, secrets, flags)


def _serve(config: Path | None, secrets: Path | None, flags: dict[str, Any]) -> int:
    given = sources(config, secrets, flags)
    loaded = load(given)
    for warning in loaded.warnings:
        note(f"warning: {warning}")
    live = LiveSettings(loaded, given)

    from auralink.engine import running
    from auralink.engine.service.serving import FORCED

    code = 0

    async def work() -> None:
        nonlocal code
        code = await running.serve(live, told=note)
        if code == FORCED:
            # Threads in native code would be waited for otherwise, and somebody hurries.
            sys.stderr.flush()
            os._exit(code)

    running.set_up_logs(live)
    loop.run(work())
    return code
