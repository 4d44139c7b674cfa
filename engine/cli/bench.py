"""``auralink bench``: hand over to the measurements, which lie above the engine.

The engine must not import `auralink.bench`; so it is found by name, when asked for.
"""

import importlib
from typing import Any, Final

import typer

from auralink.codecs.errors import UnsupportedError

PASS_ON: Final[dict[str, Any]] = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}
_MODULE: Final = "auralink.bench.cli"


def bench(context: typer.Context) -> int:
    """Measure: rd, speed, rate, loss ([bold]auralink bench rd --help[/])."""
    try:
        module = importlib.import_module(_MODULE)
    except ModuleNotFoundError as missing:
        error = UnsupportedError(f"measurements are not installed: {missing}")
        error.add_note("install the extra: pip install 'auralink-aic[bench]'")
        raise error from missing
    result = module.run(list(context.args))
    return result if isinstance(result, int) else 0
