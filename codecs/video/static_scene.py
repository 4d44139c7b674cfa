"""Notice that nothing moves, and stop coding it once it looks as good as it should.

Rendered and frozen sources repeat frames to the bit.  A repeated frame is still coded for one
period of the hierarchy, and under rate control until it is fine enough; after that a skip unit of
a few bytes says that the picture stays.  Camera noise never repeats: there the encoder's
own skip modes do the work.
"""

from typing import Final

from auralink.codecs.frame import Frame

# A unit may depend on one at most 255 numbers back, and a receiver that joined late must not
# wait: code a frame now and then.
MAX_SKIPS: Final = 120


class StaticScene:
    """Says for each frame whether it may be skipped."""

    def __init__(self, refinements: int) -> None:
        self._refinements = refinements  # frames to code after the last change
        self._last: Frame | None = None
        self._repeats = 0
        self._skips = 0

    def may_skip(self, frame: Frame) -> bool:
        """True if ``frame`` equals the last coded one, and that was refined enough."""
        if not frame.same_pixels(self._last):
            return False
        return self._repeats >= self._refinements and self._skips < MAX_SKIPS

    def coded(self, frame: Frame) -> None:
        if frame.same_pixels(self._last):
            self._repeats += 1
        else:
            self._repeats = 0
        self._last = frame
        self._skips = 0

    def skipped(self) -> None:
        self._skips += 1

    def reset(self) -> None:
        """The picture at the receiver is gone: the next frame must be coded."""
        self._last = None
