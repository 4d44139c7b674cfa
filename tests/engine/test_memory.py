"""Large buffers go back to the system."""

import platform
import subprocess
import sys

import pytest

# Bytes that are mapped for one buffer more, after others of its size came and went.
PROGRAM = """
import ctypes
from auralink.engine.memory import return_large_buffers

class Facts(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "abcdefghij"]

library = ctypes.CDLL(None)
library.mallinfo2.restype = Facts
library.malloc.restype = ctypes.c_void_p
library.free.argtypes = [ctypes.c_void_p]
{call}
for _ in range(3):
    library.free(library.malloc(1_000_000))
before = library.mallinfo2().e
library.malloc(400_000)
print(library.mallinfo2().e - before)
"""


def mapped(call: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(call=call)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_a_buffer_of_a_picture_is_mapped_by_itself_even_after_larger_ones_were_freed() -> None:
    assert mapped("return_large_buffers()") >= 400_000
    assert mapped("") == 0  # what glibc does by itself
