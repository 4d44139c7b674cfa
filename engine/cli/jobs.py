"""``auralink jobs``: relays that engines run, started and stopped over the API."""

import asyncio
from typing import Annotated, Any

import typer
from rich.table import Table

from auralink.engine.cli import values
from auralink.engine.cli.client import API, Token, Url, ask, connected
from auralink.engine.cli.terminal import Json, kilobits, out, print_json

app = typer.Typer(help="Start, list, watch and stop the jobs of engines.", no_args_is_help=True)
Job = Annotated[str, typer.Argument(metavar="ID")]


@app.command("list")
def list_jobs(url: Url = None, token: Token = None, json: Json = False) -> None:
    """List the jobs of all engines."""
    found = ask(url, token, "GET", f"{API}/jobs")
    if json:
        print_json(found)
    elif found["jobs"]:
        out().print(table(found["jobs"]))
    else:
        out().print("no jobs")


@app.command()
def show(job: Job, url: Url = None, token: Token = None) -> None:
    """Print everything about a job, as JSON."""
    print_json(ask(url, token, "GET", f"{API}/jobs/{job}"))


@app.command()
def start(
    room: Annotated[str, typer.Argument(metavar="ROOM")],
    to_room: Annotated[str, typer.Option("--to", help="Default: the room itself.")] = "",
    rate: Annotated[
        int | None,
        typer.Option(
            parser=values.bitrate,
            metavar="RATE",
            help="All that the link carries; default: as the tenant's config says.",
        ),
    ] = None,
    role: Annotated[str, typer.Option(help="send, receive or both.")] = "both",
    profile: Annotated[str | None, typer.Option(help="Codec of video.")] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="This identity's tracks.")
    ] = None,
    label: Annotated[str, typer.Option(help="For people.")] = "",
    name: Annotated[str | None, typer.Option("--id", help="Makes the request repeatable.")] = None,
    url: Url = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Start a job; print its id."""
    wanted: dict[str, Any] = {"room": room, "to_room": to_room, "role": role}
    wanted |= {"label": label, "only": only or []}
    wanted |= {
        key: given
        for key, given in (("profile", profile), ("id", name), ("rate_bps", rate))
        if given
    }
    found = ask(url, token, "POST", f"{API}/jobs", wanted)
    if json:
        print_json(found)
    else:
        out().print(found["id"])


@app.command()
def stop(job: Job, url: Url = None, token: Token = None, json: Json = False) -> None:
    """Let a job leave its rooms."""
    found = ask(url, token, "DELETE", f"{API}/jobs/{job}")
    if json:
        print_json(found)
    else:
        out().print(f"{found['id']} {found['state']}")


@app.command()
def key(job: Job, url: Url = None, token: Token = None, json: Json = False) -> None:
    """Ask for a key frame of each stream of a job."""
    found = ask(url, token, "POST", f"{API}/jobs/{job}/key-frame", {})
    if json:
        print_json(found)
    else:
        out().print(f"{found['streams']} streams")


@app.command()
def rung(
    job: Job,
    name: Annotated[str | None, typer.Argument(metavar="[RUNG]", help="None: let go.")] = None,
    url: Url = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Hold a job's streams on a rung of the fallback ladder, or let them find their own."""
    found = ask(url, token, "PUT", f"{API}/jobs/{job}/rung", {"rung": name})
    if json:
        print_json(found)
    else:
        out().print(f"{found['streams']} streams")


@app.command()
def events(url: Url = None, token: Token = None, json: Json = False) -> None:
    """Follow what happens to jobs, until Ctrl-C or the end of the engine."""
    asyncio.run(_follow(url, token, json=json))


async def _follow(url: str | None, token: str | None, *, json: bool) -> None:
    async with connected(url, token) as client:
        async for event in client.events():
            if json:
                print_json(event)
            elif "job" in event:
                text = f": {event['text']}" if event["text"] else ""
                out().print(f"{event['job']} {event['state']}{text}", markup=False)


def table(jobs: list[dict[str, Any]]) -> Table:
    """One row per job."""
    found = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("job", "state", "room", "to", "rate", "tracks", "sent", "shown", "engine", ""):
        found.add_column(title, justify="right" if title in ("rate", "sent", "shown") else "left")
    for job in jobs:
        status = job["status"] or {}
        up, down = (status.get(way, {}).get("streams", []) for way in ("up", "down"))
        sent = sum(stream.get("bytes", 0) for stream in up)
        found.add_row(
            job["id"],
            job["state"],
            job["room"],
            job["to_room"],
            kilobits(job["rate_bps"]),
            f"{len(up)} up, {len(down)} down" if status else "-",
            f"{sent / 1000:,.0f} kB" if status else "-",
            str(sum(stream.get("shown", 0) for stream in down)) if status else "-",
            job["engine"] or "-",
            job["label"] or job["reason"],
        )
    return found
