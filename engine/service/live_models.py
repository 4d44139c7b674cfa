"""The networks of the engine as the control plane sees them: one that serves, and swaps of it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import final

from auralink.engine.service.context import LoadedModel
from auralink.models.errors import ModelError, UnknownModel
from auralink.models.live import LiveModel
from auralink.models.manifest import Entry, Precision, read_manifest
from auralink.models.store import BUNDLED


@final
class LiveModels:
    """`Models` over one `LiveModel`.

    Args:
        folder: with a manifest; read again at each swap, so that new weights may be laid there.
    """

    def __init__(self, live: LiveModel, folder: Path | None) -> None:
        self._live = live
        self._folder = folder or BUNDLED

    def loaded(self) -> Sequence[LoadedModel]:
        entry = self._live.entry
        if entry is None:
            return ()
        facts = self._live.statistics()
        return (
            LoadedModel(
                name=entry.name,
                version=entry.version,
                precision=entry.precision,
                generation=facts.generation,
                detail=facts.last_refusal,
            ),
        )

    async def swap(self, name: str, version: str, precision: Precision) -> LoadedModel:
        """
        Raises:
            ModelError: as it was said; the one before stays in use.
        """
        await asyncio.to_thread(self._swap, name, version, precision)
        return self.loaded()[0]

    def _swap(self, name: str, version: str, precision: Precision) -> None:
        entries = read_manifest(self._folder)
        self._live.swap(_found(entries, name, version, precision))

    async def load_first(self, precision: Precision) -> None:
        """
        Raises:
            ModelError: none of the folder is good.
        """
        await asyncio.to_thread(self._load_first, precision)

    def _load_first(self, precision: Precision) -> None:
        entries = [one for one in read_manifest(self._folder) if one.precision == precision]
        error: ModelError = UnknownModel(f"no network in {precision} in {self._folder}")
        for entry in entries:
            try:
                self._live.swap(entry)
            except ModelError as refused:
                error = refused
            else:
                return
        raise error


@asynccontextmanager
async def open_models(
    live: LiveModel, folder: Path | None, precision: Precision
) -> AsyncIterator[LiveModels]:
    """Check and load the first good network.

    Raises:
        ModelError: there is none.  Pictures are then scaled plainly.
    """
    models = LiveModels(live, folder)
    await models.load_first(precision)
    try:
        yield models
    finally:
        live.close()


def _found(entries: Sequence[Entry], name: str, version: str, precision: Precision) -> Entry:
    for entry in entries:
        if (entry.name, entry.version, entry.precision) == (name, version, precision):
            return entry
    known = ", ".join(f"{one.name} {one.version} {one.precision}" for one in entries)
    error = UnknownModel(f"no network {name!r} of version {version!r} in {precision}")
    error.add_note(f"there are: {known or 'none'}")
    raise error
