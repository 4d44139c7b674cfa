"""Secrets out of log lines: known ones by their text, others by their form or the name they have.

The last line of defence: messages are written without secrets in the first place, and tests hold
them to that.  What foreign libraries say, and what a person logs in a hurry, comes through here.
"""

import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final, final

HIDDEN: Final = "[hidden]"
_LEAST: Final = 6  # characters of a known secret: shorter ones would hide ordinary words
_NAMES: Final = re.compile(
    r"(?:^|[_-])(?:token|secret|password|passwd|authorization|cookie|jwt|credentials?|"
    r"api[_-]?key|private[_-]?key)(?:$|[_-])",
    re.IGNORECASE,
)
_FORMS: Final = (
    # JSON web tokens: three parts of base64url, the first of which is a JSON object.
    (re.compile(r"eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"), HIDDEN),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    # user:password@ of an address
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s/@]+@"), rf"\1:{HIDDEN}@"),
    (
        re.compile(
            r"(?i)\b((?:access_token|token|secret|password|api_?key)[\"']?\s*[=:]\s*[\"']?)"
            r"[^\s\"'&,;]{4,}"
        ),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|$)", re.DOTALL),
        HIDDEN,
    ),
)


@final
class Redactor:
    """
    Args:
        secrets: of the settings in force.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({one for one in secrets if len(one) >= _LEAST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        for form, instead in _FORMS:
            text = form.sub(instead, text)
        return text

    def value(self, value: Any, name: str = "") -> Any:
        """A copy without secrets; what is neither text nor a container stays as it is."""
        if name and _NAMES.search(name) and value is not None and not isinstance(value, bool):
            return HIDDEN
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes | bytearray):
            return f"[{len(value)} bytes]"  # pixels and packets are nobody's to read in a log
        if isinstance(value, Mapping):
            return {key: self.value(one, str(key)) for key, one in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(one) for one in value]
        return value

    def __call__(
        self, logger: object, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """A processor of structlog."""
        for name, value in event.items():
            if not name.startswith("_"):
                event[name] = self.value(value, name)
        return event
