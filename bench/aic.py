"""AIC profiles as subjects of measurements."""

from auralink.bench.subjects import Subject
from auralink.codecs.errors import UnsupportedError


def open_profile(name: str) -> Subject:
    """
    Raises:
        UnsupportedError: no such profile in this build.
    """
    raise UnsupportedError(f"no profile {name!r} in this build")
