"""Full collections walk what calls made, not what the start of the process did."""

import subprocess
import sys

import pytest

# Objects that the next full collection walks, of those that a start made; and whether a cycle made
# later is freed.
PROGRAM = """
import gc, weakref
import auralink.engine.running
from auralink.engine.garbage import spare_what_lives

class Node: ...

started = len(gc.get_objects())
{call}
node = Node()
node.itself = node
gone = weakref.ref(node)
del node
gc.collect()
print(len(gc.get_objects()) / started, gone() is None)
"""


def walked(call: str) -> tuple[float, bool]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(call=call)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    share, freed = done.stdout.split()
    return float(share), freed == "True"


@pytest.mark.parametrize(
    ("call", "least", "most"), [("spare_what_lives()", 0, 0.05), ("", 0.5, 1.1)]
)
def test_what_a_start_made_is_left_out_and_later_cycles_are_freed(
    call: str, least: float, most: float
) -> None:
    share, freed = walked(call)

    assert least <= share <= most
    assert freed


def test_commands_that_stay_spare_what_their_start_made() -> None:
    program = """
import gc
from auralink.engine.cli import loop

async def work():
    print(gc.get_freeze_count())

loop.run(work())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    assert int(done.stdout) > 10_000
