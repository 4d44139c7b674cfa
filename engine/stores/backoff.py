"""Pauses between tries: they double, and spread so that many clients do not come at once.  Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """
    Attributes:
        jitter: 0.2 is up to a fifth shorter or longer.
    """

    first_s: float = 0.5
    cap_s: float = 30.0
    jitter: float = 0.2

    def pause_s(self, failures: int, random: float) -> float:
        """Seconds to wait after ``failures`` (1 or more) tries in a row failed.

        Args:
            random: 0..1.
        """
        if failures < 1:
            raise ValueError(f"no pause before the first try failed: {failures} failures")
        # The exponent is bounded: an outage of days must not overflow a float.
        nominal = min(self.cap_s, self.first_s * 2.0 ** min(failures - 1, 60))
        return nominal * (1.0 + self.jitter * (2.0 * random - 1.0))
