"""The documents' tables of settings, operations and roles are those of the program."""

import re
from pathlib import Path
from typing import Any

import pytest

from auralink.engine.service.auth.principal import Role
from auralink.engine.service.http.description import description
from auralink.engine.service.http.matrix import MATRIX
from auralink.engine.service.settings.contract import ENVIRONMENT, FILE
from auralink.engine.service.settings.keys import leaves, shown, value_of
from auralink.engine.service.settings.reload import LIVE
from auralink.engine.service.settings.tree import Settings

DOCS = Path(__file__).parents[3] / "docs"


def settings() -> list[str]:
    names: dict[str, list[str]] = {}
    for variable, key in ENVIRONMENT.items():
        names.setdefault(key, []).append(f"`{variable}`")
    lines = ["| key | also | default | |", "|---|---|---|---|"]
    for key, field in leaves():
        default = shown(key, value_of(Settings(), key))
        words = field.description or ""
        live = "; live" if key.startswith(LIVE) else ""
        lines.append(
            f"| `{key}` | {' '.join(names.get(key, []))} | {default} | {words}{live} |".replace(
                "|  |", "| |"
            )
        )
    return lines


def contract() -> list[str]:
    lines = ["| key of `aic-config.yaml` | here |", "|---|---|"]
    for key, found in FILE.items():
        if found.refused is not None:
            here = f"`{str(found.refused).lower()}` is refused: {found.why}"
        else:
            here = f"`{found.key}`" if found.key else f"no effect: {found.why}"
        lines.append(f"| `{key}` | {here} |")
    return lines


def operations() -> list[str]:
    lines = ["| | path | role | |", "|---|---|---|---|"]
    for path, methods in description()["paths"].items():
        for method, operation in methods.items():
            rule = MATRIX[operation["operationId"]]
            role = "–" if rule.role is None else rule.role.label
            words = operation["description"].split(".  ")[0].split("\n")[0].rstrip(".")
            lines.append(f"| {method.upper()} | `{path}` | {role} | {words} |")
    return lines


@pytest.mark.parametrize(
    ("document", "name", "lines"),
    [
        ("operations.md", "settings", settings),
        ("operations.md", "contract", contract),
        ("operations.md", "operations", operations),
    ],
)
def test_a_table_is_that_of_the_program(document: str, name: str, lines: Any) -> None:
    text = (DOCS / document).read_text("utf-8")
    found = re.search(f"<!-- {name}:begin -->\n\n(.*?)\n\n<!-- {name}:end -->", text, re.DOTALL)

    assert found is not None
    assert found[1].split("\n") == lines()


def test_the_security_page_names_tests_that_exist() -> None:
    text = (DOCS / "security.md").read_text("utf-8")
    root = DOCS.parent

    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 20
    for path, test in named:
        source = (root / path).read_text("utf-8")
        assert not test or f"def {test}(" in source, (path, test)


def test_the_security_page_names_every_role() -> None:
    text = (DOCS / "security.md").read_text("utf-8")

    assert all(f"`{role.label}`" in text for role in Role)
