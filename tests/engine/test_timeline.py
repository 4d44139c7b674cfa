"""Spans of frames, and the file that Perfetto reads."""

import json
from pathlib import Path

from auralink.engine.timeline import NO_TIMELINE, FrameTimeline, Span, events


def span(row: str, name: str, start_us: int, end_us: int, frame: int | None = None) -> Span:
    return Span(row=row, name=name, start_us=start_us, end_us=end_us, frame=frame)


def test_a_frame_is_joined_over_its_rows_in_the_order_of_time() -> None:
    made = list(
        events(
            [
                span("down", "decode", 300, 350, frame=7),
                span("up", "encode", 100, 200, frame=7),
                span("worker", "coding", 110, 190, frame=7),
            ]
        )
    )

    rows = {one["args"]["name"]: one["tid"] for one in made if one["ph"] == "M"}
    spans = [(one["name"], one["ts"], one["dur"]) for one in made if one["ph"] == "X"]
    arrows = [(one["ph"], one["tid"], one["ts"], one["id"]) for one in made if one["ph"] in "stf"]
    assert set(rows) == {"up", "worker", "down"}
    assert spans == [("encode", 100, 100), ("coding", 110, 80), ("decode", 300, 50)]
    assert arrows == [
        ("s", rows["up"], 100, 7),
        ("t", rows["worker"], 110, 7),
        ("f", rows["down"], 300, 7),
    ]


def test_times_that_the_link_has_rounded_are_the_same_frame() -> None:
    made = events(
        [
            span("up", "encode", 0, 10, frame=50_000_030),
            span("down", "decode", 30, 40, frame=50_000_000),
            span("up", "encode", 50, 60, frame=50_033_000),
        ]
    )

    frames = [one["args"]["frame"] for one in made if one["ph"] == "X"]
    assert frames == [50_000_000, 50_000_000, 50_033_000]


def test_a_span_that_ends_before_it_began_has_no_length() -> None:
    (_, made) = events([span("up", "wait", 50, 40)])

    assert made["dur"] == 0


def test_only_the_newest_spans_are_kept() -> None:
    timeline = FrameTimeline(capacity=3)
    for at in range(10):
        timeline.add(span("up", "encode", at, at + 1))

    assert [one.start_us for one in timeline.spans()] == [7, 8, 9]
    assert timeline.lost == 7


def test_the_file_is_one_json_object(tmp_path: Path) -> None:
    timeline = FrameTimeline()
    timeline.add(Span(row="up", name="encode", start_us=1, end_us=5, frame=3, facts={"bytes": 900}))

    timeline.write(tmp_path / "trace.json")

    document = json.loads((tmp_path / "trace.json").read_text("utf-8"))
    (drawn,) = [one for one in document["traceEvents"] if one["ph"] == "X"]
    assert drawn["args"] == {"bytes": 900, "frame": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["trace.json"]


def test_where_nobody_looks_nothing_is_kept() -> None:
    NO_TIMELINE.add(span("up", "encode", 0, 1))

    assert not NO_TIMELINE.on
    assert FrameTimeline().on
