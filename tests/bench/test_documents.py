"""The figures in the documents are those of the committed results."""

from pathlib import Path

import pytest

from auralink.bench import documents
from auralink.codecs.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("path", "block"),
    [
        ("README.md", "bits:begin"),
        ("README.md", "preset:begin"),
        ("docs/workers.md", "faults:begin"),
        ("docs/link.md", "relay-loss:begin"),
    ],
)
def test_a_document_says_what_the_results_say(path: str, block: str) -> None:
    text = (ROOT / path).read_text()

    assert block in text
    assert documents.filled(text, ROOT / "bench" / "results") == text


def test_a_block_without_an_end_is_named() -> None:
    with pytest.raises(InputError, match="bits"):
        documents.filled("<!-- bits:begin -->\n", ROOT / "bench" / "results")
