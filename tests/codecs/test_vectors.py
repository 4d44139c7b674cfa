"""The committed vectors are bitstream version 1: a change here is a change of the format."""

import json
import runpy
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

from auralink.codecs.av1.obu import restore
from auralink.codecs.neural import frame_code
from auralink.codecs.neural.model import Model
from auralink.codecs.neural.tiles import Grid
from auralink.codecs.video.container import read_packets
from auralink.codecs.video.depacketizer import Depacketizer
from auralink.codecs.video.depacketizer_unit import UnitReader
from auralink.codecs.video.packetizer import Unit
from auralink.codecs.video.protocol import Kind

VECTORS = Path(__file__).parents[1] / "vectors"
SIDES = ("rows", "columns")


def read_aic() -> list[Unit]:
    depacketizer, reader = Depacketizer(), UnitReader()
    data = BytesIO((VECTORS / "moving_128x96.aic").read_bytes())
    return [
        reader.read(packets)
        for _, data in read_packets(data)
        for packets in depacketizer.push(data)
    ]


def test_writer_and_parser_agree_with_the_vectors() -> None:
    made = runpy.run_path(str(VECTORS / "make.py"))["files"]()

    for name, data in made.items():
        assert (VECTORS / name).read_bytes() == data, name


def test_every_kind_of_packet_has_a_vector() -> None:
    vectors = json.loads((VECTORS / "packets.json").read_text())

    fields = [vector["fields"] for vector in vectors]

    assert {field["kind"] for field in fields} == {"KEY", "DELTA", "SKIP", "PARITY"}
    assert {field.get("shape") for field in fields} == {None, "group", "block"}
    assert {len(field.get("distances", ())) for field in fields} == {0, 1, 2, 3}


def test_the_file_reads_and_decodes_to_a_moving_disc() -> None:
    units = read_aic()
    decoder = av.CodecContext.create("libdav1d", "r")

    frames = []
    for unit in units:
        if unit.kind is not Kind.SKIP:
            frames += decoder.decode(av.Packet(restore(unit.payload)))
    frames += decoder.decode(None)
    lumas = [frame.to_ndarray()[:96].astype(int) for frame in frames]

    assert [unit.number for unit in units] == list(range(65530, 65544))
    assert [unit.kind for unit in units] == [Kind.KEY] + 11 * [Kind.DELTA] + 2 * [Kind.SKIP]
    assert [unit.pts_us for unit in units] == [1_000_000 + round(i * 1e6 / 30) for i in range(14)]
    assert len(lumas) == 12
    assert all(np.abs(a - b).mean() > 0.5 for a, b in pairwise(lumas))


def test_payloads_of_networks_hold_what_the_vectors_say() -> None:
    with np.load(VECTORS / "neural.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    model = Model.from_arrays(
        {name[6:]: value for name, value in arrays.items() if name.startswith("model.")}
    )
    counts = []
    for n in range(6):
        cuts = np.cumsum(arrays[f"{n}.lengths"])[:-1]
        payloads = [part.tobytes() for part in np.split(arrays[f"{n}.payloads"], cuts)]
        counts.append(len(payloads))
        read = frame_code.read(model, Grid(*(int(arrays[f"{n}.{s}"]) for s in SIDES)), payloads)

        assert read.held.all()
        assert read.settings.intra == bool(arrays[f"{n}.intra"])
        assert read.settings.quality == int(arrays[f"{n}.level"])
        assert read.settings.strength == int(arrays[f"{n}.strength"])
        for name in ("hyper", "vectors", "latent"):
            assert np.array_equal(getattr(read, name), arrays[f"{n}.{name}"])
        assert frame_code.write(model, read, max(map(len, payloads)))[0] == payloads
    assert counts[:5] == [1, 1, 2, 4, 1]
    assert counts[5] > 4
