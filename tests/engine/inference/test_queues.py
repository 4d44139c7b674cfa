"""Mailboxes, fair queues, lanes and costs: what decides which frame runs next."""

import random
from collections import Counter

import pytest

from auralink.engine.inference.cost import CostModel
from auralink.engine.inference.fair_queue import Entry, FairQueue
from auralink.engine.inference.lanes import Lanes
from auralink.engine.inference.mailbox import Mailbox

# -- mailbox -------------------------------------------------------------------------------------


def test_the_oldest_makes_room_for_the_newest() -> None:
    box = Mailbox[int](2)

    evicted = [box.offer(number) for number in range(4)]

    assert evicted == [None, None, 0, 1]
    assert [box.take(), box.take(), box.take()] == [2, 3, None]
    told = box.statistics()
    assert (told.waiting, told.peak, told.offered, told.evicted) == (0, 2, 4, 2)


def test_one_can_be_taken_out_of_its_turn() -> None:
    box = Mailbox[str](2)
    box.offer("a")
    box.offer("b")

    assert box.remove("a")
    assert not box.remove("a")
    assert box.first == "b"


def test_a_mailbox_holds_something() -> None:
    with pytest.raises(ValueError, match="a mailbox of 0"):
        Mailbox[int](0)


# -- fair queue ----------------------------------------------------------------------------------


def entries(tenant: str, deadlines: range, cost_us: float = 10.0) -> list[Entry]:
    return [Entry(at, hash((tenant, at)) % 10_000, tenant, cost_us) for at in deadlines]


def drained(queue: FairQueue) -> list[Entry]:
    found = []
    while (entry := queue.pop()) is not None:
        found.append(entry)
    return found


def test_within_a_tenant_the_earliest_deadline_goes_first() -> None:
    queue = FairQueue()
    wanted = entries("a", range(20))
    for entry in random.Random(1).sample(wanted, len(wanted)):
        queue.push(entry)

    assert drained(queue) == wanted


def test_a_tenant_that_sends_fifty_times_its_share_waits_behind_itself() -> None:
    queue = FairQueue()
    for entry in entries("loud", range(500)):
        queue.push(entry)
    for entry in entries("quiet", range(1_000, 1_010)):  # and its deadlines are later
        queue.push(entry)

    first = Counter(entry.tenant for entry in drained(queue)[:20])

    assert first == {"loud": 10, "quiet": 10}


def test_shares_follow_weights_and_costs() -> None:
    queue = FairQueue({"gold": 3.0})
    for entry in entries("gold", range(300), cost_us=20.0):
        queue.push(entry)
    for entry in entries("plain", range(300), cost_us=10.0):
        queue.push(entry)

    spent = Counter[str]()
    for entry in drained(queue)[:200]:
        spent[entry.tenant] += round(entry.cost_us)

    assert spent["gold"] / spent["plain"] == pytest.approx(3.0, rel=0.05)


def test_who_was_silent_saves_nothing_up() -> None:
    queue = FairQueue()
    for entry in entries("busy", range(100)):
        queue.push(entry)
    (once,) = entries("late", range(1))
    queue.push(once)
    for _ in range(50):
        queue.pop()
    for entry in entries("late", range(100)):
        queue.push(entry)

    nearby = Counter(entry.tenant for entry in drained(queue)[:20])

    assert abs(nearby["late"] - nearby["busy"]) <= 2


@pytest.mark.parametrize("seed", range(50))
def test_work_ahead_is_told_within_a_frame_of_each_other_tenant(seed: int) -> None:
    rng = random.Random(seed)
    queue = FairQueue({"t0": 2.0})
    for number in range(60):
        queue.push(Entry(rng.randrange(100), number, f"t{rng.randrange(3)}", rng.uniform(5, 15)))
        if rng.random() < 0.3:
            queue.pop()
    mine = Entry(rng.randrange(100), 999, f"t{rng.randrange(3)}", 10.0)
    told_us = queue.ahead_us(mine)
    queue.push(mine)

    order = drained(queue)
    ahead_us = sum(entry.cost_us for entry in order[: order.index(mine)])

    assert told_us == pytest.approx(ahead_us, abs=2 * 15.0 + 1), f"{seed = }"


def test_whoever_comes_while_another_s_frame_runs_goes_before_its_next() -> None:
    queue = FairQueue()
    runs, following = entries("loud", range(2))
    (quiet,) = entries("quiet", range(5, 6))
    queue.push(runs)
    queue.pop()  # nothing waits now, but it runs

    queue.push(following)
    queue.push(quiet)

    assert drained(queue) == [quiet, following]


def test_after_a_rest_nobody_owes_anything() -> None:
    queue = FairQueue()
    first, second = entries("loud", range(2))
    (other,) = entries("quiet", range(5, 6))
    queue.push(first)
    queue.pop()
    queue.rest()

    queue.push(second)
    queue.push(other)

    assert drained(queue) == [second, other]


def test_what_is_taken_out_costs_its_tenant_nothing() -> None:
    queue = FairQueue()
    gone, kept = entries("a", range(2))
    (other,) = entries("b", range(5, 6))
    for entry in (gone, kept, other):
        queue.push(entry)

    queue.remove(gone)

    assert queue.work_us == 20.0
    assert drained(queue) == [kept, other]


def test_a_flood_of_tenants_leaves_nothing_behind() -> None:
    queue = FairQueue()
    (stays,) = entries("stays", range(1, 2))
    for number in range(10_000):
        queue.push(stays)
        queue.push(Entry(0, number, f"tenant {number}", 10.0))
        queue.pop()
        queue.pop()

    assert len(queue) == 0
    assert len(queue._tenants) <= 2


# -- lanes ---------------------------------------------------------------------------------------


def test_a_worker_takes_one_to_run_and_one_to_wait() -> None:
    lanes = Lanes(2)
    for number in range(4):
        assert lanes.open_in(0) is not None
        lanes.put(number, mean_us=1_000, upper_us=1_200, now_us=0)

    assert lanes.open_in(0) is None
    assert lanes.free_in(500) == [1_500, 1_500]
    assert (lanes.running_us(0, 500), lanes.running_us(2, 500)) == (500, 0)


def test_the_next_one_runs_from_when_the_first_came_back() -> None:
    lanes = Lanes(1)
    lanes.put(1, mean_us=1_000, upper_us=1_200, now_us=0)
    lanes.put(2, mean_us=1_000, upper_us=1_200, now_us=0)

    lanes.remove(1, 900)

    assert lanes.free_in(1_000) == [900]
    assert lanes.running_us(2, 1_000) == 100


def test_the_second_job_is_handed_over_when_the_first_is_nearly_done() -> None:
    lanes = Lanes(1)
    lanes.put(1, mean_us=8_000, upper_us=9_000, now_us=0)

    assert lanes.open_in(5_999) is None
    assert lanes.next_us(3_000) == 6_000
    assert lanes.open_in(6_000) == 2_000


def test_a_worker_that_is_overdue_is_counted_out_until_it_answers() -> None:
    lanes = Lanes(2)
    lanes.put(1, mean_us=1_000, upper_us=1_200, now_us=0)
    lanes.put(2, mean_us=1_000, upper_us=1_200, now_us=5_000)

    assert lanes.free_in(5_500) == [100, 500]
    assert lanes.free_in(8_000) == [100]
    lanes.remove(1, 8_000)

    assert lanes.free_in(8_000) == [0, 100]


def test_with_all_workers_overdue_nothing_is_taken() -> None:
    lanes = Lanes(1)
    lanes.put(1, mean_us=1_000, upper_us=1_000, now_us=0)

    assert lanes.open_in(10_000) is None
    assert lanes.free_in(10_000) == []


# -- cost ----------------------------------------------------------------------------------------

SIZE = (640, 360)


def learned(samples: list[int]) -> CostModel:
    costs = CostModel()
    for sample in samples:
        costs.observe("m", SIZE, sample)
    return costs


def test_mean_and_deviation_are_learned() -> None:
    rng = random.Random(3)
    cost = learned([round(rng.gauss(8_000, 400)) for _ in range(500)]).of("m", SIZE)

    assert cost.mean_us == pytest.approx(8_000, rel=0.05)
    assert cost.upper_us - cost.mean_us == pytest.approx(800, rel=0.5)


def test_a_model_that_became_ten_times_slower_is_known_in_a_second() -> None:
    cost = learned([2_000] * 100 + [20_000] * 30).of("m", SIZE)

    assert cost.mean_us == pytest.approx(20_000, rel=0.15)


def test_a_single_stall_is_forgotten() -> None:
    stalled = learned([2_000] * 100 + [1_000_000])
    before = stalled.of("m", SIZE).upper_us
    for _ in range(30):
        stalled.observe("m", SIZE, 2_000)

    assert before < 5_000
    assert stalled.of("m", SIZE).upper_us < 2_800


def test_another_size_costs_in_proportion_until_it_has_run() -> None:
    costs = learned([8_000] * 50)

    assert costs.of("m", (1280, 720)).mean_us == pytest.approx(32_000)
    costs.observe("m", (1280, 720), 25_000)
    assert costs.of("m", (1280, 720)).mean_us == 25_000
    assert costs.of("other", SIZE).mean_us == 5_000


def test_a_stream_of_sizes_does_not_fill_the_memory() -> None:
    costs = CostModel()
    for width in range(1, 5_000):
        costs.observe("m", (width, 16), 1_000)

    assert len(costs) == 128
