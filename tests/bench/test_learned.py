"""The learned codec's document says what the committed results say."""

from pathlib import Path

import pytest

from auralink.bench import documents

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "block", ["learned-bits", "learned-speed", "learned-drift", "learned-loss"]
)
def test_a_block_is_what_its_result_says(block: str) -> None:
    text = (ROOT / "docs" / "learned.md").read_text()

    assert f"{block}:begin" in text
    assert documents.filled(text, ROOT / "bench" / "results") == text
