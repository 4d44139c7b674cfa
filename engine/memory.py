"""How the C library gives memory back: what is as large as a picture, at once.

glibc maps large buffers one by one until the first of them is freed; from then on it takes buffers
of that size, up to 32 MB, from the heaps of its threads (mallopt(3), `M_MMAP_THRESHOLD`).  A heap
cannot shrink below what is still in use at its top, so each thread of a long call keeps its worst
moment: the receiving half of a relay had 40 MB of free memory after its track was published anew
some thirty times, and 10 MB with this.
"""

import ctypes
from typing import Final

# A picture of 640x360 has 346 kB.  New pages cost about 0.2 ms where one is coded as VP8.
LARGE_BYTES: Final = 256 << 10
_MMAP_THRESHOLD: Final = -3  # malloc.h: setting it ends its growth


def return_large_buffers() -> bool:
    """For this process, from now on; False: it has another C library than glibc."""
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - there or not
    except (AttributeError, OSError, TypeError):  # musl; Windows has nothing by that name
        return False
    return bool(library.mallopt(_MMAP_THRESHOLD, LARGE_BYTES))
