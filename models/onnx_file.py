"""Reads from an ONNX file, without running it, what decides whether it may be run.

ONNX Runtime would follow a tensor's external data to any file of the machine, and only fails on a
wrong input at the first frame; both are better known before a session exists.  The file is a
protocol buffer; the few fields needed are walked here, because the ``onnx`` package is not a
dependency of the engine.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3 (field numbers) and
https://protobuf.dev/programming-guides/encoding/ (wire format).

Limits: nesting of `MAX_DEPTH`; every length is checked against what is left.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from auralink.models.errors import RefusedModel

MAX_DEPTH = 16
MAX_VARINT_BYTES = 10

# ModelProto
_GRAPH, _OPSET_IMPORT, _FUNCTIONS = 7, 8, 25
# OperatorSetIdProto
_DOMAIN, _VERSION = 1, 2
# GraphProto
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _SPARSE = 1, 5, 11, 12, 15
# TensorProto
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
# What may hold a tensor or a graph, as {message: {field: message of the field}}
_HOLDS: dict[str, dict[int, str]] = {
    "graph": {_NODE: "node", _INITIALIZER: "tensor", _SPARSE: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"
    },
    "sparse": {1: "tensor", 2: "tensor"},
}  # fmt: skip
_DTYPES = {1: "float32", 2: "uint8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """An input or output as the file declares it."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxFacts:
    opset: int  # of the standard domain
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    external: bool  # some tensor's data lies in another file


def read_facts(content: bytes) -> OnnxFacts:
    """Walk the file.

    Raises:
        RefusedModel: it is no ONNX file, or nested too deeply.
    """
    opset, graphs, external = 0, [], False
    for field, value in _fields(memoryview(content)):
        if field == _OPSET_IMPORT:
            opset = max(opset, _standard_opset(_bytes(value)))
        elif field == _GRAPH:
            graphs.append(_bytes(value))
        elif field == _FUNCTIONS:
            external = external or _has_external(_bytes(value), "function", 0)
    if len(graphs) != 1:
        raise RefusedModel(f"not an ONNX model: {len(graphs)} graphs, expected 1")
    ports = list(_fields(graphs[0]))
    return OnnxFacts(
        opset=opset,
        inputs=tuple(_port(_bytes(value)) for field, value in ports if field == _INPUT),
        outputs=tuple(_port(_bytes(value)) for field, value in ports if field == _OUTPUT),
        external=external or _has_external(graphs[0], "graph", 0),
    )


def _standard_opset(message: memoryview) -> int:
    fields = dict(_fields(message))
    if len(_bytes(fields.get(_DOMAIN, memoryview(b"")))):
        return 0
    return _int(fields.get(_VERSION, 0))


def _has_external(message: memoryview, kind: str, depth: int) -> bool:
    if depth > MAX_DEPTH:
        raise RefusedModel(f"not a usable ONNX model: nested deeper than {MAX_DEPTH}")
    for field, value in _fields(message):
        if kind == "tensor":
            if field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value != 0):
                return True
            continue
        inner = _HOLDS[kind].get(field)
        if inner is not None and _has_external(_bytes(value), inner, depth + 1):
            return True
    return False


def _port(message: memoryview) -> Port:
    """ValueInfoProto: name 1, type 2; TypeProto: tensor 1; Tensor: element 1, shape 2."""
    fields = dict(_fields(message))
    kind = dict(_fields(_bytes(fields.get(2, memoryview(b"")))))
    tensor = dict(_fields(_bytes(kind.get(1, memoryview(b"")))))
    sides = _fields(_bytes(tensor.get(2, memoryview(b""))))
    return Port(
        name=_text(fields.get(1, memoryview(b""))),
        dtype=_DTYPES.get(_int(tensor.get(1, 0)), "another"),
        shape=tuple(_side(_bytes(value)) for field, value in sides if field == 1),
    )


def _side(message: memoryview) -> int | str:
    """Dimension: value 1 or name 2."""
    fields = dict(_fields(message))
    if 1 in fields:
        return _int(fields[1])
    return _text(fields.get(2, memoryview(b"")))


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field; fixed-width values come as their bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        field, wire = tag >> 3, tag & 7
        match wire:
            case 0:
                value, at = _varint(message, at)
                yield field, value
                continue
            case 1:
                length = 8
            case 2:
                length, at = _varint(message, at)
            case 5:
                length = 4
            case _:
                raise RefusedModel(f"not an ONNX model: wire type {wire}")
        if length > len(message) - at:
            raise RefusedModel("not an ONNX model: a field runs past the end")
        yield field, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(message[at : at + MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise RefusedModel("not an ONNX model: a number without end")


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise RefusedModel("not an ONNX model: a number where a message belongs")
    return value


def _int(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise RefusedModel("not an ONNX model: a message where a number belongs")
    return value


def _text(value: int | memoryview) -> str:
    try:
        return str(_bytes(value), "utf-8")
    except UnicodeDecodeError as exc:
        raise RefusedModel("not an ONNX model: a name is not UTF-8") from exc
