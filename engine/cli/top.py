"""``auralink top``: a live table of what an engine does."""

import asyncio
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from auralink.engine.cli.client import API, Client, Token, Url, connected
from auralink.engine.cli.jobs import table
from auralink.engine.cli.terminal import Json, out, print_json
from auralink.engine.service.errors import Refused, Unreachable


def top(
    url: Url = None,
    token: Token = None,
    every: Annotated[float, typer.Option(min=0.2, max=60, help="Seconds between looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    json: Json = False,
) -> None:
    """Show health, parts and jobs of an engine, again and again until Ctrl-C."""
    asyncio.run(_watch(url, token, every, once=once or json, json=json))


async def _watch(
    url: str | None, token: str | None, every: float, *, once: bool, json: bool
) -> None:
    async with connected(url, token) as client:
        seen = await look(client)
        if json:
            print_json(seen)
            return
        if once:
            out().print(page(client.url, seen))
            return
        with Live(page(client.url, seen), console=out(), screen=out().is_terminal) as live:
            while True:
                await asyncio.sleep(every)
                try:
                    live.update(page(client.url, await look(client)))
                except (Refused, Unreachable) as error:
                    live.update(Text(str(error), style="red"))


async def look(client: Client) -> dict[str, Any]:
    """Health and jobs at one moment."""
    health, jobs = await asyncio.gather(
        client.ask("GET", "/health/detailed"), client.ask("GET", f"{API}/jobs")
    )
    return {"health": health, "jobs": jobs}


def page(url: str, seen: dict[str, Any]) -> Group:
    """What is on the screen."""
    health, jobs = seen["health"], seen["jobs"]
    colour = {"healthy": "green", "degraded": "yellow"}.get(health["status"], "red")
    hours, seconds = divmod(int(health["uptime_s"]), 3600)
    lines = [
        f"[bold]{escape(health['engine_id'])}[/] {escape(url)}  "
        f"[{colour}]{health['status']}[/] ({health['state']})  version {health['version']}  "
        f"up {hours} h {seconds // 60} min  load {jobs['load'] * 100:.0f} %"
    ]
    for part in health["parts"]:
        if part["expected"] and not part["ready"]:
            mark = "[red]needed[/]" if part["needed"] else "[dim]not needed[/]"
            lines.append(f"{escape(part['name'])}: {escape(part['why'])}  {mark}")
    records = health.get("records")
    if records is not None and (records["buffered"] or not records["connected"]):
        lines.append(
            f"records: {'connected' if records['connected'] else '[yellow]away[/]'}, "
            f"{records['buffered']} of {records['capacity']} rows wait, {records['dropped']} lost"
        )
    below = table(jobs["jobs"]) if jobs["jobs"] else Text("no jobs", style="dim")
    return Group(*(Text.from_markup(line) for line in lines), Text(""), below)
