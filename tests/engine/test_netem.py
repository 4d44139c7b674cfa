"""The emulated link does what it says: rate, queue, delay, order, loss and bursts."""

import itertools

import pytest

from auralink.codecs.errors import InputError
from auralink.engine.link.netem import LinkSettings, Netem


def through(
    settings: LinkSettings, count: int, *, seed: int = 1, every_us: int = 1000
) -> list[int]:
    """Numbers of the packets that arrive when `count` are sent, one per `every_us`."""
    link = Netem(settings, seed=seed)
    arrived = []
    for i in range(count):
        link.send(i * every_us, i.to_bytes(4, "big"))
        arrived += [int.from_bytes(data, "big") for _, data in link.poll(i * every_us)]
    return arrived + [int.from_bytes(data, "big") for _, data in link.poll(10**12)]


def runs_of_losses(arrived: list[int], count: int) -> list[int]:
    lost = [True] * count
    for i in arrived:
        lost[i] = False
    return [len(list(run)) for is_lost, run in itertools.groupby(lost) if is_lost]


@pytest.mark.parametrize("loss", [0.05, 0.1, 0.2, 0.5])
def test_independent_loss_has_its_rate_and_short_runs(loss: float) -> None:
    arrived = through(LinkSettings(loss=loss), 100_000)

    runs = runs_of_losses(arrived, 100_000)
    assert sum(runs) / 100_000 == pytest.approx(loss, rel=0.05)
    assert sum(runs) / len(runs) == pytest.approx(1 / (1 - loss), rel=0.05)


@pytest.mark.parametrize(("loss", "burst"), [(0.05, 3), (0.1, 3), (0.2, 8), (0.3, 1)])
def test_bursty_loss_has_its_rate_and_mean_burst(loss: float, burst: float) -> None:
    arrived = through(LinkSettings(loss=loss, burst=burst), 100_000)

    runs = runs_of_losses(arrived, 100_000)
    assert sum(runs) / 100_000 == pytest.approx(loss, rel=0.08)
    assert sum(runs) / len(runs) == pytest.approx(burst, rel=0.08)


def test_no_loss_delivers_everything_and_full_loss_nothing() -> None:
    assert through(LinkSettings(), 1000) == list(range(1000))
    assert through(LinkSettings(loss=1.0), 1000) == []
    assert through(LinkSettings(loss=1.0, burst=5), 1000) == []


def test_a_saturated_link_delivers_exactly_its_rate() -> None:
    link = Netem(LinkSettings(rate_bps=100_000, queue_ms=200), seed=1)

    for i in range(10_000):  # 10 s, 1 Mbit/s offered
        link.send(i * 1000, bytes(125))
    got = link.poll(10_000_000)

    # 10 s at 100 kbit/s are 1000 packets of 1000 bits.
    assert len(got) == 1000
    assert [at for at, _ in got] == [10_000 * (i + 1) for i in range(1000)]


def test_a_full_queue_drops_the_newest_and_bounds_the_delay() -> None:
    link = Netem(LinkSettings(rate_bps=8000, queue_ms=500), seed=1)

    taken = [link.send(0, bytes([i]) * 100) for i in range(10)]  # 100 ms each

    assert taken == [True] * 6 + [False] * 4  # the sixth waits 500 ms
    assert [(at, data[0]) for at, data in link.poll(10**9)] == [
        (100_000 * (i + 1), i) for i in range(6)
    ]
    assert link.counts.dropped == 4


def test_delay_and_jitter_stay_in_their_range_and_keep_the_order() -> None:
    link = Netem(LinkSettings(delay_ms=50, jitter_ms=30), seed=3)
    for i in range(5000):
        link.send(i * 10_000, i.to_bytes(4, "big"))

    got = link.poll(10**12)

    delays = [at - int.from_bytes(data, "big") * 10_000 for at, data in got]
    assert [int.from_bytes(data, "big") for _, data in got] == list(range(5000))
    assert min(delays) >= 50_000
    assert max(delays) <= 80_000
    # Uniform, lifted a little where order holds a packet back.
    assert sum(delays) / len(delays) == pytest.approx(65_000, rel=0.05)


def test_output_depends_on_the_seed_and_not_on_how_often_it_is_asked() -> None:
    settings = LinkSettings(rate_bps=50_000, delay_ms=20, jitter_ms=10, loss=0.2, burst=2)

    def arrivals(seed: int, polls: int) -> list[tuple[int, bytes]]:
        link, got = Netem(settings, seed=seed), []
        for i in range(1000):
            link.send(i * 3000, i.to_bytes(2, "big"))
            for k in range(polls):
                got += link.poll(i * 3000 + k * 100)
        return got + link.poll(10**9)

    assert arrivals(7, polls=1) == arrivals(7, polls=9)
    assert arrivals(7, polls=1) != arrivals(8, polls=1)


def test_a_change_of_rate_holds_for_what_is_queued() -> None:
    link = Netem(LinkSettings(rate_bps=8000, queue_ms=10_000), seed=1)
    link.send(0, bytes(1000))  # 1 s
    link.send(0, bytes(1000))

    link.change(500_000, LinkSettings(rate_bps=80_000, queue_ms=10_000))

    assert [at for at, _ in link.poll(10**9)] == [550_000, 650_000]
    assert link.idle


def test_counts_add_up() -> None:
    link = Netem(LinkSettings(rate_bps=64_000, queue_ms=100, loss=0.3), seed=5)
    for i in range(2000):
        link.send(i * 5000, bytes(50))

    link.poll(10**9)

    counts = link.counts
    assert counts.sent == 2000 == counts.delivered + counts.lost + counts.dropped
    assert counts.delivered_bytes == 50 * counts.delivered


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": 1.5}, "from 0 to 1"),
        ({"loss": float("nan")}, "from 0 to 1"),
        ({"rate_bps": 0}, "more than 0"),
        ({"delay_ms": -1}, "delay_ms must not be negative"),
        ({"loss": 0.1, "burst": 0.5}, "at least 1 packet"),
        ({"loss": 0.9, "burst": 2}, "at least 9.0 packets"),
    ],
)
def test_impossible_settings_are_named(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LinkSettings(**settings)
