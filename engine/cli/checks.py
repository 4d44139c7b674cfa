"""``auralink doctor`` and ``auralink version``: what this machine can do, and what runs on it."""

import importlib.metadata
import os
import platform

import onnxruntime as ort
from rich.markup import escape

from auralink.codecs.base.select import survey
from auralink.engine.cli.fact import Fact
from auralink.engine.cli.service_checks import service_facts
from auralink.engine.cli.settings import ConfigFile, SecretsFolder
from auralink.engine.cli.terminal import Json, note, out, print_json
from auralink.models.errors import ModelError
from auralink.models.manifest import Entry
from auralink.models.providers import choose
from auralink.models.store import Store
from auralink.models.verify import verify


def version(json: Json = False) -> None:
    """Print the version, and those of what does the work."""
    versions = {name: _version(name) for name in ("auralink-aic", "av", "numpy", "onnxruntime")}
    if json:
        print_json(versions | {"python": platform.python_version()})
    else:
        out().print(f"auralink-aic {versions['auralink-aic']}")


def doctor(config: ConfigFile = None, secrets: SecretsFolder = None, json: Json = False) -> int:
    """Examine this machine: codecs, networks, processor, and what the service stands on.

    Exits 1 if something that is needed does not work.
    """
    facts = [*_machine(), *_engines(), _provider(), *_networks()]
    facts += service_facts(config, secrets)
    healthy = all(fact.ok or not fact.needed for fact in facts)
    if json:
        print_json({"healthy": healthy, "facts": facts})
    else:
        _print(facts)
    if not healthy:
        note("hint: make setup installs all that is needed; paste the lines above into an issue")
    return 0 if healthy else 1


def _machine() -> list[Fact]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [
        Fact(name="auralink-aic", ok=True, value=_version("auralink-aic")),
        Fact(name="python", ok=True, value=f"{platform.python_version()} on {platform.platform()}"),
        Fact(name="cores", ok=True, value=f"{cores} usable, {platform.machine()}"),
    ]


def _engines() -> list[Fact]:
    return [
        Fact(
            name=f"engine {fact.engine}",
            ok=fact.ok,
            value=f"{fact.name or 'none'}{' (chosen)' if fact.chosen else ''}: {fact.why}",
            needed=fact.chosen,
        )
        for fact in survey()
    ]


def _provider() -> Fact:
    """Where networks would compute; the lines after it say where they did."""
    first, *others = choose(ort.get_available_providers())
    rest = "".join(f"; else {other.name}" for other in others)
    return Fact(name="provider", ok=True, value=f"{first.name} (chosen): {first.why}{rest}")


def _networks() -> list[Fact]:
    try:
        entries = Store.bundled().entries
    except ModelError as error:
        return [Fact(name="networks", ok=False, value=str(error), needed=False)]
    return [_network(entry) for entry in entries]


def _network(entry: Entry) -> Fact:
    found = verify(entry)
    where = f"{found.ms:.1f} ms a frame of the golden clip on {found.provider}"
    spent = f"; {where}" if found.ok else ""
    return Fact(
        name=f"network {entry.label}", ok=found.ok, value=f"{found.detail}{spent}", needed=False
    )


def _print(facts: list[Fact]) -> None:
    width = max(len(fact.name) for fact in facts)
    for fact in facts:
        mark = "[green]ok [/]" if fact.ok else "[red]bad[/]" if fact.needed else "[yellow]no [/]"
        out().print(f"{mark}  {fact.name:<{width}}  {escape(fact.value)}")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
