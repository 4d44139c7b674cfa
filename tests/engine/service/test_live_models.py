"""The networks of the control plane: which swaps count as models that were refused."""

from pathlib import Path

import pytest

from auralink.engine.service.live_models import LiveModels, opening_models
from auralink.models.errors import ModelError, SwapRefused, UnknownModel, WrongModel
from auralink.models.manifest import Entry, read_manifest
from auralink.models.store import BUNDLED


class Serving:
    """Serves the first network of the package, and fails as it is told."""

    def __init__(self, fails: ModelError | None = None) -> None:
        self.entry: Entry | None = read_manifest(BUNDLED)[0]
        self._fails = fails

    def swap(self, entry: Entry) -> None:
        if self._fails is not None:
            raise self._fails

    def probe(self) -> int:
        if self._fails is not None:
            raise self._fails
        return 1


class Refusals:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.mark.parametrize(
    ("error", "count"),
    [(None, 0), (WrongModel("golden vectors"), 1), (SwapRefused("a later one is live"), 0)],
)
async def test_a_model_that_is_not_good_is_counted_and_the_one_before_stays(
    error: ModelError | None, count: int
) -> None:
    refusals = Refusals()
    models = LiveModels(Serving(error), None, refusals)
    (before,) = models.loaded()

    if error is None:
        await models.swap(before.name, before.version, before.precision)
    else:
        with pytest.raises(type(error)):
            await models.swap(before.name, before.version, before.precision)

    assert refusals.count == count
    assert models.loaded()[0].detail == ("" if error is None else str(error))


async def test_a_name_that_nobody_has_is_no_model_that_was_refused() -> None:
    refusals = Refusals()

    with pytest.raises(UnknownModel):
        await LiveModels(Serving(), None, refusals).swap("other", "1", "int8")

    assert refusals.count == 0


async def test_a_network_that_computes_something_else_at_the_start_is_counted(
    tmp_path: Path,
) -> None:
    refusals = Refusals()
    opening = opening_models(Serving(WrongModel("golden vectors")), None, refusals)

    with pytest.raises(WrongModel):
        async with opening():
            pass

    assert refusals.count == 1
