"""Keep the garbage collector from holding up calls.

A full collection walks every container that is alive, with all threads of the interpreter held.
After a start those are some 400,000 objects of modules, models and routes that live as long as the
process: 150 ms on one core, in which no packet is sent and no request answered, every few minutes
at most and always unasked.
"""

import gc


def spare_what_lives() -> None:
    """Collect once, here and now; later collections leave out what is alive at this moment.

    Call it when a start is over.  What dies later of what is spared is still freed by its count of
    references; only cycles among it are not (`gc.freeze`).
    """
    gc.collect()
    gc.freeze()
