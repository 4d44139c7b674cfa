"""``auralink demo``."""


def demo() -> None:
    """Send a clip over an emulated thin link."""
