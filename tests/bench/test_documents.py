"""The figures in the README are those of the committed results."""

from pathlib import Path

import pytest

from auralink.bench import documents
from auralink.codecs.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def test_the_readme_says_what_the_results_say() -> None:
    text = (ROOT / "README.md").read_text()

    assert "bits:begin" in text
    assert documents.filled(text, ROOT / "bench" / "results") == text


def test_a_block_without_an_end_is_named() -> None:
    with pytest.raises(InputError, match="bits"):
        documents.filled("<!-- bits:begin -->\n", ROOT / "bench" / "results")
