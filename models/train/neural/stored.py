"""Trained weights as one small file, and a run that starts from them."""

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from auralink.models.train.neural.nets import Intra, Predict
from auralink.models.train.neural.shape import Shape

NETS = ("intra", "predict")


def averaged(checkpoint: Path) -> tuple[dict[str, nn.Module], dict[str, Any]]:
    """The averaged networks of a checkpoint, rounded to what a weights file holds; its progress."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    nets = empty(Shape(**content["shape"]))
    for name, net in nets.items():
        net.load_state_dict(content["averages"][name])
        for parameter in net.parameters():
            parameter.copy_(parameter.half().float())
    return nets, content["progress"]


def empty(shape: Shape) -> dict[str, nn.Module]:
    nets: dict[str, nn.Module] = {"intra": Intra(shape), "predict": Predict(shape)}
    for net in nets.values():
        net.requires_grad_(False).eval()
    return nets


def packed(nets: dict[str, nn.Module]) -> bytes:
    """A weights file: parameters in 16-bit floats, counts of the symbol tables in 32."""
    shape = nets["intra"].prior.shape
    arrays = {"shape": np.frombuffer(json.dumps(asdict(shape)).encode(), np.uint8)}
    for name, net in nets.items():
        for key, value in net.named_parameters():
            arrays[f"{name}.{key}"] = value.detach().half().numpy()
        arrays[f"{name}.tables.counts"] = net.tables.counts.numpy()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def read(path: Path, nets: dict[str, nn.Module]) -> None:
    """Fill networks of the same shape.

    Raises:
        ValueError: they have another shape.
    """
    with np.load(path) as stored:
        shape = Shape(**json.loads(stored["shape"].tobytes()))
        if shape != nets["intra"].prior.shape:
            raise ValueError(f"{path.name} holds {shape}")
        with torch.no_grad():
            for name, net in nets.items():
                for key, value in net.named_parameters():
                    value.copy_(torch.from_numpy(stored[f"{name}.{key}"]))
                net.tables.counts.copy_(torch.from_numpy(stored[f"{name}.tables.counts"]))
                net.tables.fit()
