"""What people may write for rates, shares, sizes and times."""

from collections.abc import Callable

import pytest
import typer

from auralink.codecs.errors import UnsupportedError
from auralink.engine.cli import values


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (values.bitrate, "90k", 90_000),
        (values.bitrate, "1.5M", 1_500_000),
        (values.bitrate, "64000", 64_000),
        (values.bitrate, "64000bps", 64_000),
        (values.bitrate, "90 kbit/s", 90_000),
        (values.bitrate, 120_000, 120_000),
        (values.share, "10%", 0.1),
        (values.share, "0.25", 0.25),
        (values.share, 0.0, 0.0),
        (values.picture_size, "640x360", values.Size(640, 360)),
        (values.picture_size, "1X1", values.Size(1, 1)),
        (values.frame_rate, "29.97", 29.97),
        (values.frame_rate, "30000/1001", 30000 / 1001),
        (values.milliseconds, "100", 100.0),
        (values.milliseconds, "100ms", 100.0),
        (values.milliseconds, "0.1s", 100.0),
    ],
)
def test_usual_spellings_are_understood(
    parse: Callable[[object], object], text: object, value: object
) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (values.bitrate, "k90"),
        (values.bitrate, "-5k"),
        (values.bitrate, "10"),
        (values.bitrate, "9e9"),
        (values.bitrate, "nan"),
        (values.share, "110%"),
        (values.share, "-1%"),
        (values.share, "nan"),
        (values.share, "some"),
        (values.picture_size, "640"),
        (values.picture_size, "0x5"),
        (values.picture_size, "9999x9999"),
        (values.frame_rate, "0"),
        (values.frame_rate, "1/0"),
        (values.frame_rate, "nan"),
        (values.milliseconds, "-1"),
        (values.milliseconds, "2min"),
        (values.milliseconds, "61s"),
    ],
)
def test_the_rest_is_refused_with_an_example(
    parse: Callable[[object], object], text: object
) -> None:
    with pytest.raises(typer.BadParameter, match=str(text)):
        parse(text)


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(UnsupportedError, match="unknown colour 'blau'") as caught:
        values.known_name("colour", "blau", ["blue", "orange"])

    assert caught.value.__notes__ == ["did you mean blue? colours: blue, orange"]
