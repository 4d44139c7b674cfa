"""The networks as the control plane sees them: the one that serves, and swaps of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, Protocol, final

from auralink.codecs.errors import AuraLinkError
from auralink.engine.service.context import LoadedModel
from auralink.models.errors import ModelError, SwapRefused, UnknownModel
from auralink.models.manifest import Entry, Precision, read_manifest
from auralink.models.runtime import RESTORE_S
from auralink.models.store import BUNDLED

# Nobody looked at a model: there is none of that name, or a later one serves.
_NO_REFUSAL: Final = (UnknownModel, SwapRefused)
_START_S: Final = 30.0  # for the first worker to be up and to have checked its network


class Swappable(Protocol):
    """What serves a network: the pool of workers.  All of it blocks."""

    @property
    def entry(self) -> Entry | None: ...

    def swap(self, entry: Entry) -> None:
        """
        Raises:
            ModelError: it is not good; what served before goes on.
        """

    def probe(self) -> int:
        """
        Raises:
            AuraLinkError: what serves does not compute what it should.
        """


@final
class LiveModels:
    """`Models` over what serves.

    Args:
        folder: with a manifest; read again at each swap, so that new weights may be laid there.
        refused: hears of every model that was not good.
    """

    def __init__(
        self, serving: Swappable, folder: Path | None, refused: Callable[[], None]
    ) -> None:
        self._serving = serving
        self._folder = folder or BUNDLED
        self._refused = refused
        self._generation = 1
        self._refusal = ""

    def loaded(self) -> Sequence[LoadedModel]:
        entry = self._serving.entry
        if entry is None:
            return ()
        return (
            LoadedModel(
                name=entry.name,
                version=entry.version,
                precision=entry.precision,
                generation=self._generation,
                detail=self._refusal,
            ),
        )

    async def swap(self, name: str, version: str, precision: Precision) -> LoadedModel:
        """
        Raises:
            ModelError: as it was said; the one before stays in use.
        """
        try:
            await asyncio.to_thread(self._swap, name, version, precision)
        except ModelError as error:
            self._refusal = str(error)
            if not isinstance(error, _NO_REFUSAL):
                self._refused()
            raise
        self._generation += 1
        self._refusal = ""
        return self.loaded()[0]

    def _swap(self, name: str, version: str, precision: Precision) -> None:
        entries = read_manifest(self._folder)
        for entry in entries:
            if (entry.name, entry.version, entry.precision) == (name, version, precision):
                self._serving.swap(entry)
                return
        known = ", ".join(f"{one.name} {one.version} {one.precision}" for one in entries)
        error = UnknownModel(f"no network {name!r} of version {version!r} in {precision}")
        error.add_note(f"there are: {known or 'none'}")
        raise error


def first_entry(folder: Path | None, precision: Precision) -> Entry | None:
    """What workers start with; None: the folder has nothing of the kind."""
    try:
        entries = read_manifest(folder or BUNDLED)
    except ModelError:
        return None
    found = [one for one in entries if one.precision == precision]
    ours = [one for one in found if one.name == RESTORE_S]
    return next(iter([*ours, *found]), None)


def opening_models(
    serving: Swappable, folder: Path | None, refused: Callable[[], None] = lambda: None
) -> Callable[[], AbstractAsyncContextManager[LiveModels]]:
    """For `Works.models`: ready once the network computes what it did where it was made.

    Args:
        refused: as of `LiveModels`.
    """

    @asynccontextmanager
    async def opened() -> AsyncIterator[LiveModels]:
        if serving.entry is None:
            raise UnknownModel(f"no network in {folder or 'the package'}")
        async with asyncio.timeout(_START_S):
            try:
                await asyncio.to_thread(serving.probe)
            except AuraLinkError:
                refused()
                raise
        yield LiveModels(serving, folder, refused)

    return opened
