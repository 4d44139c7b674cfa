"""What is built is what is in the tree: packages, data, locked dependencies."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("codecs", "models", "engine", "bench")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
# Kept out of the tree by .gitignore, and so of every build.
IGNORED = {"__pycache__", "runs"}


def packages_in_tree() -> set[str]:
    folders = (path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    return {
        ".".join(("auralink", *folder.relative_to(ROOT).parts))
        for folder in folders
        if not IGNORED & set(folder.parts)
    }


def data_in_tree() -> set[str]:
    """Everything beside the modules, as the wheel names it."""
    return {
        f"auralink/{path.relative_to(ROOT)}"
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file()
        and not IGNORED & set(path.parts)
        and path.suffix not in (".py", ".pyc", ".nbi", ".nbc", ".md")
        and "results" not in path.parts  # of measurements: quoted by documents, not installed
    }


def test_every_folder_with_modules_is_a_listed_package() -> None:
    # setuptools leaves an unlisted package out of the wheel without a word.
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages_in_tree()
    assert all((ROOT / room / "py.typed").exists() for room in ROOMS)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built by the pinned backend from a copy of the tree, without any download."""
    tree = tmp_path_factory.mktemp("tree")
    for room in ROOMS:
        shutil.copytree(ROOT / room, tree / room, ignore=shutil.ignore_patterns(*IGNORED))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    build = "import sys, setuptools.build_meta as b; print(b.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(tree / "dist")],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next((tree / "dist").glob("*.whl")))


def test_the_wheel_has_all_packages_and_data(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())

    modules = {name for name in names if name.endswith(".py")}
    assert {name.rpartition("/")[0].replace("/", ".") for name in modules} == packages_in_tree()
    assert data_in_tree() <= names
    assert "auralink/engine/demo/assets/signer.mp4" in names
    assert not [name for name in names if name.startswith("codecs/")]


def test_the_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    name = next(name for name in wheel.namelist() if name.endswith("METADATA"))
    metadata = wheel.read(name).decode()

    assert "License-Expression: Apache-2.0" in metadata
    assert f"Version: {PROJECT['project']['version']}" in metadata
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_the_lock_pins_all_direct_dependencies_by_hash_and_names_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    pinned = re.findall(r"^([a-z0-9][\w.-]*)==\S+(.*)$", lock, re.MULTILINE)

    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [*PROJECT["project"]["dependencies"], *extras["aom"], *extras["bench"], *extras["dev"]]
    names = {re.split(r"[\[<>=!~ ]", text)[0].lower() for text in wanted} - {"auralink-aic"}
    assert names | {"setuptools"} <= {name for name, _ in pinned}
    assert all(line.endswith("\\") for _, line in pinned)  # a hash follows each
    assert "://" not in lock
    assert "--index" not in lock


def test_the_changelog_speaks_of_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")

    assert f"## [{PROJECT['project']['version']}]" in changelog


def test_commands_of_the_readme_exist() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")

    targets = set(re.findall(r"^make ([a-z]+)", readme, re.MULTILINE))
    assert {"demo", "test"} <= targets
    assert all(f"\n{target}:" in makefile for target in targets)


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]

    for document in documents:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text("utf-8")):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document.name}: {target}"
