"""Fill the page."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A plot and what it shows."""

    svg: str = field(repr=False)
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that is on a page.  Everything but `headline` and SVG is plain text."""

    title: str
    headline: str  # HTML
    subline: str
    video: bytes = field(repr=False)  # mp4 of all sequences side by side
    names: Sequence[str]  # of the sequences, left to right
    fps: float
    columns: Sequence[str]  # of the table of figures
    rows: Sequence[Sequence[str]]
    rows_note: str
    plots: Sequence[Figure]
    facts: Sequence[tuple[str, str]]
    caveats: Sequence[str]


def render(page: Page) -> str:
    """One self-contained HTML document: no request leaves it."""
    template = resources.files(__package__).joinpath("template.html").read_text("utf-8")
    values = {
        "title": escape(page.title),
        "headline": page.headline,
        "subline": escape(page.subline),
        "video": base64.b64encode(page.video).decode(),
        "names": json.dumps(list(page.names)).replace("<", "\\u003c"),
        "fps": f"{page.fps:g}",
        "figures": _table(page.columns, page.rows),
        "figures_note": escape(page.rows_note),
        "plots": "".join(
            f"<figure>{plot.svg}<figcaption>{escape(plot.caption)}</figcaption></figure>"
            for plot in page.plots
        ),
        "facts": _facts(page.facts),
        "caveats": "".join(f"<p>{escape(text)}</p>" for text in page.caveats),
    }
    # One pass: what is filled in is never searched for placeholders.
    pieces = template.split("%%")
    return "".join(values[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    return f"<dl>{items}</dl>"
