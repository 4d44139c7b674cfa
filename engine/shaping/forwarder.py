"""The process between two namespaces: makes both, and carries packets until its owner is gone.

It reads orders from stdin and answers each with the counts; the end of stdin, which a crash of the
owner causes too, is its own end, and with it go devices and namespaces.
"""

import json
import os
import selectors
import sys
import time
from typing import Final, final

from auralink.codecs.errors import UnsupportedError
from auralink.engine.link.netem import LinkSettings, Netem
from auralink.engine.shaping import kernel
from auralink.engine.shaping.wire import Carried, Shape, read_order, write_carried

NEAR: Final = "10.77.0.1"
FAR: Final = "10.77.0.2"
_PREFIX: Final = 30
_MOST_BYTES: Final = 65_536
_AT_ONCE: Final = 64  # packets of one side before the other has its turn


@final
class Forwarder:
    """
    Args:
        near, far: descriptors that give and take one packet at a time.
    """

    def __init__(self, near: int, far: int, *, seed: int) -> None:
        open_link = LinkSettings()
        self._ways = (
            (near, far, Netem(open_link, seed=seed)),
            (far, near, Netem(open_link, seed=seed + 1)),
        )

    def wait_s(self, now_us: int) -> float | None:
        """Until the next packet arrives; None: none is under way."""
        due = [link.due_us for _, _, link in self._ways if link.due_us is not None]
        return max(0, min(due) - now_us) / 1e6 if due else None

    @property
    def carried(self) -> Carried:
        (_, _, there), (_, _, back) = self._ways
        return Carried(there=there.counts, back=back.counts)

    def shape(self, now_us: int, shape: Shape) -> None:
        for (_, _, link), settings in zip(self._ways, (shape.there, shape.back), strict=True):
            link.change(now_us, settings)

    def take(self, source: int, now_us: int) -> None:
        """Whatever a side has sent."""
        for origin, _, link in self._ways:
            if origin != source:
                continue
            for _ in range(_AT_ONCE):
                try:
                    packet = os.read(source, _MOST_BYTES)
                except BlockingIOError:
                    break
                link.send(now_us, packet)

    def give(self, now_us: int) -> None:
        """Whatever has arrived."""
        for _, target, link in self._ways:
            for _, packet in link.poll(now_us):
                try:
                    os.write(target, packet)
                except OSError:
                    continue  # nobody reads at that end: a full interface drops, too


def run(forwarder: Forwarder, sides: tuple[int, int], orders: int, answers: int) -> None:
    """Until ``orders`` ends."""
    pending = b""
    with selectors.DefaultSelector() as selector:
        for descriptor in (*sides, orders):
            selector.register(descriptor, selectors.EVENT_READ)
        while True:
            ready = selector.select(forwarder.wait_s(_now_us()))
            now_us = _now_us()
            for key, _ in ready:
                if key.fd != orders:
                    forwarder.take(key.fd, now_us)
                    continue
                chunk = os.read(orders, _MOST_BYTES)
                if not chunk:
                    return
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    if (shape := read_order(line)) is not None:
                        forwarder.shape(now_us, shape)
                    os.write(answers, write_carried(forwarder.carried))
            forwarder.give(_now_us())


def _now_us() -> int:
    return time.monotonic_ns() // 1000


def main() -> int:
    seed = int(sys.argv[1])
    try:
        near_network = kernel.new_network()
        near = kernel.open_tun(NEAR, _PREFIX)
        far_network = kernel.new_network()
        far = kernel.open_tun(FAR, _PREFIX)
    except UnsupportedError as refused:
        hints = list(getattr(refused, "__notes__", ()))
        print(json.dumps({"error": str(refused), "hints": hints}), flush=True)
        return 2
    print(json.dumps({"near": near_network, "far": far_network}), flush=True)
    run(Forwarder(near, far, seed=seed), (near, far), sys.stdin.fileno(), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
