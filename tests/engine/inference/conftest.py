import multiprocessing
from collections.abc import Iterator

import pytest

from .processes import ROOT, shared_segments, wait_for


@pytest.fixture(scope="module")
def leaves_nothing_behind() -> Iterator[None]:
    """No process and no shared memory is left by a module's tests."""
    segments = shared_segments()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)  # workers inherit it and find the doubles
        yield
    wait_for(lambda: multiprocessing.active_children() == [])
    assert shared_segments() <= segments
