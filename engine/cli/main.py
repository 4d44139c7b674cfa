"""``auralink``: the command line.

Exit codes: 0 done, 1 done with a negative result (damaged pictures, a bad checksum), 2 wrong usage
or bad input, 3 the codec or the service could not be started, 4 an engine could not be reached, 130
interrupted.
"""

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import typer
from typer.exceptions import Abort, Exit, TyperException

from auralink.codecs.errors import AuraLinkError, EncoderError, UnsupportedError
from auralink.engine.cli.bench import PASS_ON
from auralink.engine.cli.terminal import print_error, print_json
from auralink.engine.service.errors import ConfigError, StartError, Unreachable

BAD_INPUT: Final = 2
NO_START: Final = 3
NO_ANSWER: Final = 4
INTERRUPTED: Final = 130

# Where each command is, in this package.  Only the one that is asked for is imported: codecs,
# networks and servers each take their time, and `auralink config check` needs none of them.
COMMANDS: Final[Mapping[str, str]] = {
    "demo": "demo:demo",
    "encode": "encode:encode",
    "decode": "decode:decode",
    "info": "info:info",
    "relay": "relay:relay",
    "join": "relay:join",
    "worker": "worker:worker",
    "serve": "serve:serve",
    "top": "top:top",
    "migrate": "migrate:migrate",
    "openapi": "openapi:openapi",
    "bench": "bench:bench",
    "doctor": "checks:doctor",
    "version": "checks:version",
}
GROUPS: Final[Mapping[str, str]] = {
    "models": "models:app",
    "jobs": "jobs:app",
    "config": "config:app",
    "token": "tokens:app",
}


def application(wanted: str | None = None) -> typer.Typer:
    """
    Args:
        wanted: the one command that is needed; None, or none of ours: all of them.
    """
    app = typer.Typer(
        name="auralink",
        help="Neural compression of live media: relay LiveKit rooms over thin links, encode, "
        "serve, measure.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_several)
    one = wanted if wanted in COMMANDS or wanted in GROUPS else None
    for name, place in COMMANDS.items():
        if one in (None, name):
            settings = PASS_ON if name == "bench" else None
            app.command(name, context_settings=settings)(_found(place))
    for name, place in GROUPS.items():
        if one in (None, name):
            app.add_typer(_found(place), name=name)
    return app


def _several() -> None:
    """Keeps the name of a command in front of its words, also where there is only one."""


def _found(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(f"auralink.engine.cli.{module}"), name)


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; return the exit code."""
    try:
        app = application(next(iter(arguments), None))
        result = app(args=list(arguments), standalone_mode=False)
    except AuraLinkError as error:
        _report(arguments, str(error), getattr(error, "__notes__", ()))
        return _code(error)
    except TyperException as error:
        return _usage(arguments, error)
    except Exit as asked:
        return asked.exit_code
    except (Abort, KeyboardInterrupt):
        _report(arguments, "interrupted", ())
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone: nobody to tell
        return INTERRUPTED
    return result if isinstance(result, int) else 0


def _code(error: AuraLinkError) -> int:
    match error:
        case EncoderError() | ConfigError() | StartError():
            return NO_START
        case Unreachable():
            return NO_ANSWER
        case _:
            return BAD_INPUT


def _usage(arguments: Sequence[str], error: TyperException) -> int:
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if context is not None and message:
        _report(arguments, message, (f"{context.command_path} --help",))
    elif message:
        _report(arguments, message, ())
    return error.exit_code or BAD_INPUT


def _report(arguments: Sequence[str], message: str, hints: Sequence[str]) -> None:
    if "--json" in arguments:
        print_json({"error": message, "hints": list(hints)})
    print_error(message, hints)


__all__ = ["UnsupportedError", "application", "main", "run"]
