"""When a breaker opens, how long it stays so, and what closes it again."""

from dataclasses import dataclass

from auralink.codecs.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerConfig:
    """
    Attributes:
        window_calls: judged are so many calls at most,
        window_us: none of them older than this,
        least_calls: and never fewer than these.
        failed_share: of failed calls that opens the breaker, 0..1.
        slow_share: of slow calls, the same.
        open_us: first wait.
        open_most_us: longest one.
        jitter: share of the wait by which it may differ.
        probes: that must pass, all of them.
        half_open_us: longest wait for them; a golden vector takes a few frames' time.
    """

    window_calls: int = 20
    window_us: int = 10_000_000
    least_calls: int = 10
    failed_share: float = 0.5
    slow_share: float = 0.5
    open_us: int = 1_000_000
    open_most_us: int = 30_000_000
    jitter: float = 0.2
    probes: int = 3
    half_open_us: int = 1_000_000

    def __post_init__(self) -> None:
        if not 1 <= self.least_calls <= self.window_calls:
            raise InputError(
                f"a window of {self.window_calls} calls never holds the {self.least_calls} needed"
            )
        if not (0 < self.failed_share <= 1 and 0 < self.slow_share <= 1):
            raise InputError("shares that open a breaker lie above 0 and up to 1")
        if self.probes < 1 or not 0 <= self.jitter < 1:
            raise InputError("a breaker needs at least one probe, and a jitter below 1")
        if not 0 < self.open_us <= self.open_most_us or self.half_open_us <= 0:
            raise InputError("waits of a breaker are longer than nothing, the first is the least")
