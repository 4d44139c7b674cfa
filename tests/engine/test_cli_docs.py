"""The documents say what the program does: options, commands, the Python example."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from auralink.engine.cli.main import application
from auralink.engine.demo.settings import sample

ROOT = Path(__file__).parent.parent.parent
COMMANDS: dict[str, Any] = typer.main.get_command(application()).commands


def option_names(command: Any) -> set[str]:
    names = {name for parameter in command.params for name in parameter.opts}
    names |= {name for parameter in command.params for name in parameter.secondary_opts}
    return {name for name in names if name.startswith("--")} - {"--json", "--help"}


OPTIONS_LISTED = ("encode", "decode", "info", "demo", "relay", "join", "worker", "migrate", "serve")


@pytest.mark.parametrize("name", [*OPTIONS_LISTED, "top", "openapi"])
def test_the_cli_page_lists_every_option_and_no_other(name: str) -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    section = next(text for text in page.split("\n## ") if text.startswith(f"auralink {name}"))

    listed = {
        option
        for line in section.splitlines()
        if line.startswith("| `--")
        for option in re.findall(r"`(--[a-z-]+)`", line.split("|")[1])
    }

    assert listed == option_names(COMMANDS[name])


def test_the_cli_page_names_every_command() -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")

    assert all(f"auralink {name}" in page for name in COMMANDS)


@pytest.mark.parametrize("name", ["jobs", "config", "token"])
def test_the_cli_page_names_every_command_of_a_group(name: str) -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    title = next(
        text.splitlines()[0] for text in page.split("\n## ") if text.startswith(f"auralink {name} ")
    )

    named = title.removeprefix(f"auralink {name} ").split(" | ")
    assert set(named) == set(COMMANDS[name].commands)


def test_commands_in_the_documents_are_ones_that_exist() -> None:
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for name in re.findall(
            r"^\.venv/bin/auralink +([a-z]+)", document.read_text("utf-8"), re.M
        ):
            assert name in COMMANDS, f"{document.name}: auralink {name}"


def test_the_python_example_of_the_readme_runs(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    example = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert example is not None
    with sample().open("rb") as source, (tmp_path / "clip.mp4").open("wb") as target:
        shutil.copyfileobj(source, target)
    short = example[1].replace('Clip("clip.mp4")', 'Clip("clip.mp4", ReadOptions(frames=5))')
    program = f"from auralink.engine.media.reader import ReadOptions\n{short}"

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Status.DECODED") >= 2  # frames may be left out behind the first key
