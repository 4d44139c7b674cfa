"""Errors about files: which file, where in it, and what to do."""

from pathlib import Path

from auralink.codecs.errors import InputError


def bad_file(path: str | Path, what: str, remedy: str) -> InputError:
    """An error to raise; the remedy is its note, shown as a hint on the command line."""
    error = InputError(f"{path}: {what}")
    error.add_note(remedy)
    return error


def counted(count: int, noun: str) -> str:
    """``1 frame``, ``2 frames``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
