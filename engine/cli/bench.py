"""``auralink bench``: hand over to the measurements, which lie above the engine.

The engine must not import `auralink.bench`; so a measurement is found by name, when asked for.
"""

import importlib
import sys
from typing import Annotated, Any, Final

import typer

from auralink.codecs.errors import UnsupportedError
from auralink.engine.cli.terminal import out
from auralink.engine.cli.values import known_name

PASS_ON: Final[dict[str, Any]] = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
}
MEASUREMENTS: Final = (
    "rd",
    "speed",
    "rate",
    "loss",
    "load",
    "rpc",
    "control",
    "faults",
    "relay",
    "soak",
    "drift",
)


def bench(
    context: typer.Context,
    what: Annotated[str | None, typer.Argument(metavar="|".join(MEASUREMENTS))] = None,
    help: Annotated[bool, typer.Option("--help", "-h", help="Of the measurement.")] = False,  # noqa: A002
) -> int:
    """Measure: quality, speed, rates, loss, load, faults, relays: [bold]bench rd -h[/]."""
    if what is None:
        out().print(context.get_help())
        return 0 if help else 2
    name = known_name("measurement", what, MEASUREMENTS)
    try:
        module = importlib.import_module(f"auralink.bench.{name}")
    except ModuleNotFoundError as missing:
        error = UnsupportedError(f"bench {name} cannot run: {missing}")
        error.add_note("install what measuring needs: pip install 'auralink-aic[bench]'")
        raise error from missing
    words = [*context.args, *(["--help"] if help else [])]
    sys.argv[0] = f"auralink bench {name}"  # for its own usage lines
    code: int = module.main(words)
    return code
