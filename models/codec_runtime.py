"""Serves the learned codec's `NeuralNetworks` with ONNX Runtime.

One session per graph and picture size, made when it is first needed: a decoder never makes those of
the analysis.  Each call computes on the caller's thread, on one core.
"""

import threading
from collections import OrderedDict
from typing import Any, Final

import numpy as np
import onnxruntime as ort

from auralink.codecs.errors import UnsupportedError
from auralink.codecs.neural.latent import Hyper, Latent
from auralink.codecs.neural.model import Model as Tables
from auralink.codecs.neural.motion import Features
from auralink.codecs.neural.networks import Analysis, Context, Floats, Synthesis
from auralink.codecs.neural.packing import Packed
from auralink.codecs.neural.tiles import Grid
from auralink.models.codec_manifest import GRAPHS, GraphName
from auralink.models.codec_store import CodecModel, CodecStore, load_codec
from auralink.models.deadlines import Deadlines
from auralink.models.errors import ModelError
from auralink.models.manifest import Precision
from auralink.models.providers import choose
from auralink.models.session import Array, Runner, open_runner

MAX_SESSIONS: Final = 4 * len(GRAPHS)  # four sizes: before and after a change, both ways up
PRECISION: Final[Precision] = "fp32"


class OnnxCodec:
    """`NeuralNetworks` of one codec.  Threads may share it."""

    def __init__(self, model: CodecModel) -> None:
        self._model = model
        self._sessions: OrderedDict[tuple[GraphName, Grid], Runner] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def model_id(self) -> int:
        return self._model.entry.id

    @property
    def model(self) -> Tables:
        return self._model.tables

    def analyse_key(self, picture: Packed, quality: float) -> Analysis:
        grid = _grid(picture)
        feeds = {"picture": picture[None], "quality": _scalar(quality), "first": _first(grid)}
        hyper, residual = self._run("key_analysis", grid, feeds)
        return Analysis(hyper=hyper, residual=residual)

    def synthesize_key(self, hyper: Hyper, latent: Latent, quality: float) -> Synthesis:
        grid = Grid(*latent.shape[1:])
        feeds = {
            "hyper": hyper[None],
            "latent": latent[None],
            "quality": _scalar(quality),
            "first": _first(grid),
        }
        picture, features = self._run("key_synthesis", grid, feeds)
        return Synthesis(picture=picture, features=features)

    def context(self, prediction: Packed, moved: Features, cells: Floats) -> Context:
        feeds = {
            "prediction": prediction[None],
            "moved": moved[None],
            "cells": cells[None, None],
        }
        context, seen = self._run("delta_context", _grid(prediction), feeds)
        return Context(context=context, seen=seen)

    def analyse_delta(
        self, picture: Packed, prediction: Packed, context: Context, cells: Floats
    ) -> Analysis:
        feeds = {
            "picture": picture[None],
            "prediction": prediction[None],
            "context": context.context[None],
            "seen": context.seen[None],
            "cells": cells[None, None],
        }
        hyper, residual = self._run("delta_analysis", _grid(picture), feeds)
        return Analysis(hyper=hyper, residual=residual)

    def synthesize_delta(
        self, prediction: Packed, context: Context, hyper: Hyper, latent: Latent, cells: Floats
    ) -> Synthesis:
        feeds = {
            "prediction": prediction[None],
            "context": context.context[None],
            "seen": context.seen[None],
            "hyper": hyper[None],
            "latent": latent[None],
            "cells": cells[None, None],
        }
        picture, features = self._run("delta_synthesis", _grid(prediction), feeds)
        return Synthesis(picture=picture, features=features)

    def _run(self, name: GraphName, grid: Grid, feeds: dict[str, Any]) -> list[Array]:
        whole = {key: np.ascontiguousarray(value) for key, value in feeds.items()}
        return [array[0] for array in self._session(name, grid).run(whole).values()]

    def _session(self, name: GraphName, grid: Grid) -> Runner:
        key = name, grid
        with self._lock:
            session = self._sessions.pop(key, None)
            if session is None:
                session = open_session(self._model.graphs[name], grid)
            self._sessions[key] = session
            if len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)
        return session


def open_codec(name: str | int, precision: Precision = PRECISION) -> OnnxCodec:
    """The codec of that name or id that comes with the package.

    Raises:
        UnsupportedError: there is none, or its files are not whole.
    """
    try:
        return OnnxCodec(load_codec(CodecStore.bundled().find(name, precision)))
    except ModelError as exc:
        raise UnsupportedError(f"the networks of {name} cannot be used: {exc}") from exc


def open_session(content: bytes, grid: Grid) -> Runner:
    """Of one graph, for pictures of one size."""
    sides = {
        "h": 2 * grid.rows,
        "w": 2 * grid.columns,
        "rows": grid.rows,
        "columns": grid.columns,
        "block_rows": grid.block_rows,
        "block_columns": grid.block_columns,
    }
    return open_runner(content, sides, choose(ort.get_available_providers()), Deadlines())


def _grid(picture: Packed) -> Grid:
    return Grid(picture.shape[1] // 2, picture.shape[2] // 2)


def _scalar(value: float) -> Floats:
    return np.full((1, 1, 1, 1), value, np.float32)


def _first(grid: Grid) -> Floats:
    """1 at the cells of a key whose means need no other cell's symbols."""
    i, j = np.indices((grid.rows, grid.columns))
    return ((i + j + 1) & 1).astype(np.float32)[None, None]
