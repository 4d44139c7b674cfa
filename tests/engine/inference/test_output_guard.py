"""What a model that went wrong may not get past."""

import time

import numpy as np
import numpy.typing as npt
import pytest

from auralink.engine.inference.backend import Media, Ran, Request
from auralink.engine.inference.breaker import State
from auralink.engine.inference.engine import InferenceEngine
from auralink.engine.inference.outcome import FrameOutcome
from auralink.engine.inference.output_guard import OutputGuard, Promise
from auralink.models.guard import Fault

PICTURE = Promise(kind="picture", shape=(48, 64), dtype="uint8")
LATENT = Promise(kind="picture", shape=(48, 64), dtype="float32", low=0.0, high=1.0)
SOUND = Promise(kind="sound", shape=(960,), dtype="float32", low=-1.0, high=1.0)


def scene(number: int) -> npt.NDArray[np.uint8]:
    """A picture that differs from its neighbours."""
    rows, columns = np.mgrid[0:48, 0:64]
    return ((3 * rows + 2 * columns + 20 * number) % 256).astype(np.uint8)


def tone(level: float) -> npt.NDArray[np.float32]:
    return (level * np.sin(np.arange(960) / 5)).astype(np.float32)


@pytest.mark.parametrize(
    "value", [np.nan, np.inf, -np.inf, 1.0001, -0.0001, 3e38], ids=lambda value: str(value)
)
@pytest.mark.parametrize("place", [(0, 0), (47, 63), (20, 31)])
def test_one_bad_value_anywhere_is_enough(value: float, place: tuple[int, int]) -> None:
    made = np.full((48, 64), 0.5, np.float32)
    made[place] = value

    assert OutputGuard().judge(scene(0), made, LATENT) is Fault.RANGE


@pytest.mark.parametrize(
    "made",
    [
        np.zeros((47, 64), np.uint8),
        np.zeros((1, 48, 64), np.uint8),
        np.zeros((0, 0), np.uint8),
        np.zeros((48, 64), np.int8),
        np.zeros((48, 64), np.float64),
    ],
    ids=lambda made: f"{made.dtype}{made.shape}",
)
def test_another_shape_or_type_is_refused(made: npt.NDArray[np.generic]) -> None:
    assert OutputGuard().judge(scene(0), made, PICTURE) is Fault.SHAPE


def test_a_picture_that_stays_while_the_scene_moves_is_frozen() -> None:
    guard = OutputGuard()

    found = [guard.judge(scene(number), scene(0), PICTURE) for number in range(6)]

    assert found == [None, *[Fault.FROZEN] * 5]


def test_a_still_scene_may_stay_still() -> None:
    guard = OutputGuard()

    assert {guard.judge(scene(0), scene(0), PICTURE) for _ in range(100)} == {None}


def test_a_model_that_thaws_is_let_through_again() -> None:
    guard = OutputGuard()
    for number in range(6):
        guard.judge(scene(number), scene(0), PICTURE)

    assert guard.judge(scene(7), scene(7), PICTURE) is None


def test_silence_is_refused_while_somebody_speaks() -> None:
    guard = OutputGuard()

    found = [guard.judge(tone(0.2), tone(0.0), SOUND) for _ in range(4)]

    assert found == [None, None, Fault.SILENT, Fault.SILENT]


def test_a_pause_is_no_fault() -> None:
    guard = OutputGuard()

    assert {guard.judge(tone(0.0005), tone(0.0), SOUND) for _ in range(50)} == {None}


class Rotten:
    """A backend whose every output is bad."""

    workers = 1

    def serves(self, model: str) -> bool:
        return True

    async def run(self, request: Request[npt.NDArray[np.uint8]]) -> Ran[npt.NDArray[np.generic]]:
        return Ran(result=np.full((48, 64), np.nan, np.float32), run_us=500)

    async def probe(self, model: str) -> int:
        return 500


async def test_bad_output_opens_the_breaker_and_reaches_nobody() -> None:
    guard = OutputGuard()

    def judge(request: Request[npt.NDArray[np.uint8]], made: npt.NDArray[np.generic]) -> bool:
        return guard.judge(request.payload, made, LATENT) is None

    async with InferenceEngine(Rotten(), judge=judge) as engine:
        answers = []
        for number in range(12):
            at_us = time.monotonic_ns() // 1_000
            request = Request(
                stream="s",
                media=Media.VIDEO,
                model="net",
                size=(64, 48),
                captured_us=at_us,
                deadline_us=at_us + 10_000_000,
                payload=scene(number),
            )
            answers.append(await engine.submit(request))

        assert engine.statistics().breakers["net"].state is State.OPEN
    assert {answer.result for answer in answers} == {None}
    invalid, breaker = FrameOutcome.INVALID, FrameOutcome.BREAKER
    assert [answer.outcome for answer in answers] == [invalid] * 10 + [breaker] * 2
