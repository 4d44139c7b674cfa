"""``auralink models``."""

import typer

app = typer.Typer(help="List and verify the networks.", no_args_is_help=True)


@app.callback()
def models() -> None:
    """List and verify the networks."""
