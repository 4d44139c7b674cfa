"""``auralink``: the command line.

Exit codes: 0 done, 1 done with a negative result (damaged pictures, a bad checksum), 2 wrong usage
or bad input, 3 the codec could not be started, 130 interrupted.
"""

import sys
from collections.abc import Sequence
from typing import Final

import typer
from typer.exceptions import Abort, Exit, TyperException

from auralink.codecs.errors import AuraLinkError, EncoderError, UnsupportedError
from auralink.engine.cli import (
    bench,
    checks,
    decode,
    demo,
    encode,
    info,
    migrate,
    models,
    relay,
    worker,
)
from auralink.engine.cli.terminal import print_error, print_json

BAD_INPUT: Final = 2
NO_START: Final = 3
INTERRUPTED: Final = 130

app = typer.Typer(
    name="auralink",
    help="Neural compression of live media: relay LiveKit rooms over thin links, encode, measure.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("encode")(encode.encode)
app.command("decode")(decode.decode)
app.command("info")(info.info)
app.command("relay")(relay.relay)
app.command("join")(relay.join)
app.command("worker")(worker.worker)
app.command("migrate")(migrate.migrate)
app.command("bench", context_settings=bench.PASS_ON)(bench.bench)
app.add_typer(models.app, name="models")
app.command("doctor")(checks.doctor)
app.command("version")(checks.version)


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; return the exit code."""
    try:
        result = app(args=list(arguments), standalone_mode=False)
    except AuraLinkError as error:
        start = isinstance(error, EncoderError)
        _report(arguments, str(error), getattr(error, "__notes__", ()))
        return NO_START if start else BAD_INPUT
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


__all__ = ["UnsupportedError", "app", "main", "run"]
