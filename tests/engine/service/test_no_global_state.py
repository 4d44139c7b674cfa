"""No module of the engine keeps state: whatever changes belongs to an object that was handed in.

Read from the source: no ``global``, no module-level container that is not `Final`, none that a
function changes, and no module-level object of a kind that could hold state.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[3] / "engine"
MODULES = sorted(
    path
    for path in ENGINE.rglob("*.py")
    if "stubs" not in path.parts  # made by protoc
)
CHANGES = {
    "add",
    "append",
    "appendleft",
    "clear",
    "discard",
    "extend",
    "insert",
    "pop",
    "popitem",
    "popleft",
    "put",
    "put_nowait",
    "remove",
    "set",
    "setdefault",
    "sort",
    "update",
}
# What may be made while a module is read: values that do not change, and names of things.
MADE = {
    "Annotated",
    "BeforeValidator",
    "ConfigDict",
    "ContextVar",
    "Field",
    "Fraction",
    "MappingProxyType",
    "NewType",
    "Option",
    "Path",
    "Struct",
    "TypeVar",
    "bytes",
    "compile",
    "datetime",
    "float",
    "frozenset",
    "getLogger",
    "int",
    "len",
    "max",
    "min",
    "range",
    "round",
    "sorted",
    "timedelta",
    "tuple",
}
DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)


def faults(tree: ast.Module) -> Iterator[str]:
    names: set[str] = set()
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                final = False
            case ast.AnnAssign(
                target=ast.Name(id=name), annotation=note, value=ast.expr() as value
            ):
                final = "Final" in ast.unparse(note) or "TypeAlias" in ast.unparse(note)
            case _:
                continue
        if isinstance(value, ast.Call) and called(value) == "ContextVar":
            continue  # each task has a value of its own
        names.add(name)
        if isinstance(value, DISPLAYS) and not final and name != "__all__":
            yield f"line {statement.lineno}: {name} can be changed and is not Final"
        if isinstance(value, ast.Call) and not final and called(value) not in MADE:
            yield f"line {statement.lineno}: {name} is an object: {called(value)}(...)"
    for node in ast.walk(tree):
        match node:
            case ast.Global():
                yield f"line {node.lineno}: global"
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)):
                if name in names and method in CHANGES and name.isupper():
                    yield f"line {node.lineno}: {name}.{method} changes what the module keeps"
            case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
                if name in names and name.isupper():
                    yield f"line {node.lineno}: {name}[...] changes what the module keeps"
            case _:
                pass


def called(call: ast.Call) -> str:
    function = call.func
    while isinstance(function, ast.Subscript):
        function = function.value
    return function.attr if isinstance(function, ast.Attribute) else ast.unparse(function)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ENGINE)))
def test_no_module_of_the_engine_keeps_state(path: Path) -> None:
    found = list(faults(ast.parse(path.read_text("utf-8"))))

    # Commands register themselves with typer's object while they are read, and never afterwards.
    if path.parent.name == "cli":
        found = [fault for fault in found if not fault.endswith("Typer(...)")]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "CACHE = {}",
        "seen = []",
        "PATHS = [name for name in names]",
        "LOCK = threading.Lock()",
        "pool = Pool[int](4)",
        "def f():\n    global x\n    x = 1",
        "KNOWN: Final = {}\ndef f(k):\n    KNOWN[k] = 1",
        "_KNOWN: Final = set()\ndef f(k):\n    _KNOWN.add(k)",
    ],
)
def test_the_rule_sees_state(source: str) -> None:
    assert list(faults(ast.parse(source)))
