"""Bottom layer: media values, bitstream, base codecs.  Synchronous; imports no sibling."""

import os

# Numpy's matrix products of the learned codec are small: on two threads they take twice the
# processor time and hardly less of the clock's (measured), and a call has better use for a core.
# Read when numpy is first imported, so this comes before; a choice that somebody made stays.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
