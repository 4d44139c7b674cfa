import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auralink.models.manifest import MANIFEST
from auralink.models.store import BUNDLED, Store


@pytest.fixture(scope="session")
def store() -> Store:
    return Store.bundled()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A private copy of the weights."""
    for path in BUNDLED.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    return tmp_path


@pytest.fixture
def edit(folder: Path) -> Callable[[Callable[[dict[str, Any]], object]], Store]:
    """Change the manifest of `folder`, given as parsed JSON, and open the store."""

    def change_and_open(change: Callable[[dict[str, Any]], object]) -> Store:
        path = folder / MANIFEST
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))
        return Store(folder)

    return change_and_open
