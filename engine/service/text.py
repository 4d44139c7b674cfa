"""Text that can be written down: JSON may hold half of a surrogate pair, UTF-8 cannot."""

from typing import Any


def writable(value: Any) -> Any:
    """The value as it is.

    Raises:
        ValueError: it is (or is a list with) text that has no form in UTF-8.
    """
    for one in value if isinstance(value, list) else (value,):
        if isinstance(one, str) and not one.isascii():
            try:
                one.encode()
            except UnicodeEncodeError:
                raise ValueError("half of a surrogate pair is no text") from None
    return value
