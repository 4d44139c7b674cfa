"""The learned codec's files and networks: whole or refused, and the same at both ends."""

import json
from pathlib import Path

import numpy as np
import pytest

from auralink.codecs.errors import UnsupportedError
from auralink.codecs.frame import Frame
from auralink.codecs.neural.tiles import Grid
from auralink.codecs.video.profiles import open_decoder, open_encoder
from auralink.codecs.video.protocol import Status, Wish
from auralink.codecs.video.receiver import Receiver
from auralink.models import codec_runtime
from auralink.models.codec_manifest import GRAPHS, CodecEntry, read_codecs, write_codecs
from auralink.models.codec_runtime import OnnxCodec, open_codec, open_session
from auralink.models.codec_store import CodecStore, load_codec
from auralink.models.codec_verify import verify_codec
from auralink.models.errors import DamagedModel, ManifestError, RefusedModel, UnknownModel
from auralink.models.manifest import MANIFEST


def entry_of(folder: Path) -> CodecEntry:
    return CodecStore(folder).find("neural-s", "fp32")


def picture(number: int, size: tuple[int, int]) -> Frame:
    width, height = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    luma = 120 + 50 * np.sin((x + 2 * number) / 9) + 40 * np.cos((y - number) / 7)
    chroma = ((height + 1) // 2, (width + 1) // 2)
    return Frame(
        y=np.clip(luma, 0, 255).astype(np.uint8),
        u=np.full(chroma, 110, np.uint8),
        v=np.full(chroma, 140, np.uint8),
        pts_us=number * 33_333,
    )


def test_bundled_codecs_are_whole_and_decode_as_where_they_were_made() -> None:
    entries = CodecStore.bundled().entries

    assert "neural-s" in {entry.name for entry in entries}
    for entry in entries:
        found = verify_codec(entry)
        assert found.ok, found.detail
        assert all(entry.path(file).stat().st_size <= 4 << 20 for file in entry.graphs.values())
        assert entry.path(entry.weights).stat().st_size <= 4 << 20


@pytest.mark.parametrize("size", [(160, 96), (97, 51)])
def test_encoder_and_decoder_hold_the_same_pictures(size: tuple[int, int]) -> None:
    """Two sets of sessions, as on two machines of one kind."""
    encoder = open_encoder("neural-s", fps=30, neural=open_codec)
    receiver = Receiver(open_decoder(neural=open_codec))
    errors = []
    for number in range(10):
        frame = picture(number, size)
        unit = encoder.encode(frame, Wish(bitrate_bps=80_000))
        for packet in unit.packets:
            for shown in receiver.push(packet):
                assert shown.status in (Status.DECODED, Status.REPEATED)
                held = encoder._states.get(encoder._states.newest)
                assert np.array_equal(shown.frame.y, held.planes.y[: size[1], : size[0]])
                errors.append(float(np.abs(shown.frame.y.astype(int) - frame.y).mean()))

    assert len(errors) == 10
    assert np.mean(errors) < 12


def test_sessions_are_made_for_what_is_used_and_only_the_last_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(codec_runtime, "MAX_SESSIONS", 2)
    codec = open_codec("neural-s")
    for columns in (1, 2, 3):
        packed = np.zeros((96, 2, 2 * columns), np.uint8)
        made = codec.analyse_key(packed, 0.5)
        assert made.hyper.shape[1:] == (1, 1)
        assert made.residual.shape[1:] == (1, columns)

    assert [grid for _, grid in codec._sessions] == [Grid(1, 2), Grid(1, 3)]


def test_a_changed_byte_is_damage_and_other_tables_are_refused(folder: Path) -> None:
    entry = entry_of(folder)
    path = entry.path(entry.graphs["delta_synthesis"])
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedModel, match="SHA-256"):
        load_codec(entry)
    assert not verify_codec(entry).ok

    document = json.loads((folder / MANIFEST).read_text())
    codec = document["codecs"][0]
    codec["graphs"]["delta_synthesis"] = codec["graphs"]["delta_context"]
    codec["tables"] = codec["graphs"]["delta_context"]
    (folder / MANIFEST).write_text(json.dumps(document))
    with pytest.raises(RefusedModel, match="model file is damaged"):
        load_codec(entry_of(folder))


def test_a_manifest_may_name_no_codec_and_must_name_each_once(folder: Path) -> None:
    entries = read_codecs(folder)
    write_codecs(folder, entries)
    assert read_codecs(folder) == entries

    document = json.loads((folder / MANIFEST).read_text())
    document["codecs"] *= 2
    (folder / MANIFEST).write_text(json.dumps(document))
    with pytest.raises(ManifestError, match="twice"):
        read_codecs(folder)

    del document["codecs"]
    (folder / MANIFEST).write_text(json.dumps(document))
    assert read_codecs(folder) == ()
    with pytest.raises(UnknownModel, match="none"):
        CodecStore(folder).find("neural-s", "fp32")


def test_an_unknown_codec_is_named_with_what_there_is() -> None:
    with pytest.raises(UnsupportedError, match=r"neural-xl.*neural-s-fp32"):
        open_codec("neural-xl")


def test_what_one_grid_computes_does_not_depend_on_another() -> None:
    """A session for a size gives the same bits as a fresh one."""
    model = load_codec(CodecStore.bundled().find("neural-s", "fp32"))
    one, other = OnnxCodec(model), OnnxCodec(model)
    packed = np.random.default_rng(0).integers(0, 256, (96, 4, 6)).astype(np.uint8)
    one.analyse_key(np.zeros((96, 8, 8), np.uint8), 0.2)

    a, b = one.analyse_key(packed, 0.7), other.analyse_key(packed, 0.7)

    assert np.array_equal(a.hyper, b.hyper)
    assert np.array_equal(a.residual, b.residual)
    assert set(model.graphs) == set(GRAPHS)
    for content in model.graphs.values():
        open_session(content, Grid(2, 3))
