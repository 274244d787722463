import dataclasses
import hashlib
import io
import json
from pathlib import Path

import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipelines import export
from pipelines.card import card
from pipelines.errors import UsageError
from pipelines.export import COLUMNS, example, examples, export_hf
from pipelines.image_file import image_path
from pipelines.schema import Choice, Reason
from tests.pipelines import datasets


@pytest.fixture
def out(tmp_path: Path) -> str:
    videos, pictures = datasets.sample()
    return datasets.build(tmp_path / "out", [videos[:4], videos[4:]], pictures)


def _files(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


def test_every_clip_once_sorted_with_its_own_picture(out: str) -> None:
    rows = list(examples(out))
    assert [(r.video_id, r.start_s) for r in rows] == [
        ("knee", 0.0), ("liver", 0.0), ("liver", 20.0), ("lung", 0.0), ("lung", 40.0),
    ]  # fmt: skip
    for row in rows[:4]:
        assert row.image is not None
        assert hashlib.sha256(row.image.bytes).hexdigest() == row.image_id
        assert row.image.path == f"{row.image_id}.jpeg"
    assert rows[4].image is None


def test_columns_carry_the_clip_and_where_it_came_from(out: str) -> None:
    row = next(examples(out))
    made = datasets.clip("knee", 0.0, datasets.picture("knee", 4))
    assert (row.caption, row.caption_source, row.caption_support) == (made.raw_text, "transcript", 0.5)
    assert (row.medical_text, row.roi_text) == ("A haemangioma.", None)
    assert made.medical_text is not None
    assert (row.medical_text_source, row.medical_text_support) == (made.medical_text.source, made.medical_text.support)
    assert (row.roi_text_source, row.roi_text_support) == (None, None)
    assert (row.modality, row.region, row.corrected_text) == ("ct", "abdomen", "The liver shows a haemangioma.")
    assert (row.trace, row.box, row.image_width, row.image_height) == (made.trace, made.box, 160, 120)
    assert (row.pictures, row.episodes, row.links) == (made.pictures, made.episodes, made.links)
    assert row.models.caption_prompt == "caption-1"
    assert row.models.transcriber == "whisper-tiny.en"
    assert row.models.modality_decided_by == "frame classes"
    assert (row.extra, row.fingerprint) == ('{"title": "Liver"}', datasets.FINGERPRINT)


def test_signed_addresses_are_not_published() -> None:
    video = dataclasses.replace(datasets.ok("a", []), uri="https://user:pass@h/a.mp4?sig=1")
    assert example(video, datasets.clip("a", 0.0, None), None).uri == "https://h/a.mp4"


def test_a_clip_that_is_not_relevant_is_marked() -> None:
    clip = dataclasses.replace(datasets.clip("a", 0.0, None), relevant=Choice(value="irrelevant", decided_by="rules"))
    row = example(datasets.ok("a", []), clip, None)
    assert (row.relevant, row.models.relevant_decided_by) == ("irrelevant", "rules")


def test_the_screens_verdicts_alone_are_nothing_to_export(out: str, tmp_path: Path) -> None:
    file = Path(out) / "config.json"
    saved = json.loads(file.read_text())
    saved["settings"]["pass"] = "screen"
    file.write_text(json.dumps(saved))
    with pytest.raises(UsageError, match="only the screen's verdicts"):
        export_hf(out, tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


def test_an_empty_folder_behind_a_link_is_filled(out: str, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "hf").symlink_to(tmp_path / "disk")
    assert export_hf(out, tmp_path / "hf") == 5
    assert (tmp_path / "hf").is_symlink()
    assert (tmp_path / "disk" / "README.md").is_file()


def test_an_export_is_local(out: str) -> None:
    with pytest.raises(UsageError, match="local folder"):
        export_hf(out, "s3://bucket/clips")


def test_loads_with_datasets_and_the_picture_opens(out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets as hf

    monkeypatch.setattr(hf.config, "HF_HUB_OFFLINE", True)
    assert export_hf(out, tmp_path / "hf") == 5
    loaded = hf.load_dataset(str(tmp_path / "hf"), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.column_names == COLUMNS.names
    assert isinstance(loaded.features["image"], hf.Image)
    first = loaded[0]
    stored = PIL.Image.open(io.BytesIO(datasets.picture("knee", 4).data))
    assert first["image"].tobytes() == stored.tobytes()
    assert (first["image_width"], first["image_height"]) == first["image"].size
    assert first["trace"][1] == {
        "time_s": 0.5, "x": 38.0, "y": pytest.approx(74.38, abs=0.01), "confidence": 0.9, "state": "moving",
    }  # fmt: skip
    assert first["pictures"] == [
        {"start_s": 0.0, "end_s": 20.0, "image_id": first["image_id"], "width": 160, "height": 120, "method": "median"}
    ]
    (pointing,) = first["episodes"]
    assert (pointing["picture"], pointing["box"]) == (0, {"x0": 90.0, "y0": 30.0, "x1": 119.0, "y1": 60.0})
    assert [(link["kind"], link["picture"], link["episode"], link["main"]) for link in first["links"]] == [
        ("roi", 0, 0, True), ("medical", 0, None, True),
    ]  # fmt: skip
    assert loaded[4]["pictures"] == loaded[4]["episodes"] == loaded[4]["links"] == []
    assert first["box"]["x1"] == 119.0
    assert loaded[4]["image"] is None
    assert loaded[4]["box"] is None


def test_two_exports_are_equal_to_the_byte_whatever_the_order_of_the_rows(out: str, tmp_path: Path) -> None:
    videos, pictures = datasets.sample()
    other = [dataclasses.replace(v, host="elsewhere", stage_times=()) for v in reversed(videos)]
    again = datasets.build(tmp_path / "again", [[v] for v in other], pictures[::-1])
    export_hf(out, tmp_path / "a")
    export_hf(out, tmp_path / "b")
    export_hf(again, tmp_path / "c")
    assert _files(tmp_path / "a") == _files(tmp_path / "b") == _files(tmp_path / "c")
    assert set(_files(tmp_path / "a")) == {"README.md", "data/train-00000-of-00001.parquet"}


def test_shards_and_row_groups_are_bounded(out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "ROW_GROUP_ROWS", 1)
    largest = max(export._size(e) for e in examples(out))
    export_hf(out, tmp_path / "hf", shard_bytes=2 * largest)
    files = sorted((tmp_path / "hf" / "data").iterdir())
    assert len(files) > 1
    assert [f.name for f in files] == [f"train-{i:05d}-of-{len(files):05d}.parquet" for i in range(len(files))]
    assert all(pq.ParquetFile(f).metadata.num_row_groups == pq.read_metadata(f).num_rows for f in files)
    together = pa.concat_tables(pq.read_table(f) for f in files)
    assert together["clip_id"].to_pylist() == [e.clip_id for e in examples(out)]


def test_no_clips_still_make_a_folder_that_says_its_columns(tmp_path: Path) -> None:
    out = datasets.build(tmp_path / "out", [[datasets.ended("a", Reason.NO_AUDIO, "screen")]], [])
    assert export_hf(out, tmp_path / "hf") == 0
    (file,) = (tmp_path / "hf" / "data").iterdir()
    table = pq.read_table(file)
    assert table.num_rows == 0
    assert table.schema.names == COLUMNS.names
    assert b"Image" in table.schema.metadata[b"huggingface"]


def test_a_target_with_something_in_it_is_left_alone(out: str, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="not empty"):
        export_hf(out, tmp_path / "taken")
    assert (tmp_path / "taken" / "thesis.tex").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    assert export_hf(out, tmp_path / "empty") == 5


def test_a_missing_picture_stops_the_export_and_leaves_nothing(out: str, tmp_path: Path) -> None:
    Path(image_path(out, "lung")).unlink()
    before = set(tmp_path.iterdir())
    with pytest.raises(UsageError, match="lung:000000000-000020000"):
        export_hf(out, tmp_path / "hf")
    assert set(tmp_path.iterdir()) == before


def test_the_card_says_the_figures_and_names_every_column(out: str) -> None:
    text = card(out)
    _, header, body = text.split("---\n", 2)
    assert yaml.safe_load(header)["configs"][0]["data_files"][0]["path"] == "data/train-*.parquet"
    for column in COLUMNS.names:
        assert f"`{column}`" in body
    assert "| with pointing episodes (4 in all) | 4 |" in body
    assert "| with sentences tied to pictures (8 sentences in all) | 4 |" in body
    assert "| accepted | 3 | 0.50 |" in body
    assert "| failed | `screen` | unreadable | 1 | 0.00 |" in body
    assert "Of 5 captions, 5 (100.0 %)" in body
    assert "| `conditioned` | 5 | 5 | 100.0 % |" in body
    assert "| `unconditioned` | 5 | 0 | 0.0 % |" in body
    assert f"`{datasets.FINGERPRINT}`" in body
    assert "| transcript | `whisper-tiny.en` |" in body
    assert "Not complete" not in body


def test_the_card_says_when_rows_are_missing(out: str) -> None:
    datasets.write_manifest(Path(out), [*datasets.sample()[0], datasets.ok("lost", [])])
    assert "of 7 requested videos 6 have a row" in card(out)


def test_hostile_names_cannot_break_the_cards_tables(tmp_path: Path) -> None:
    video = dataclasses.replace(datasets.ok("a", [], [datasets.clip("a", 0.0, None)]), transcriber="x` |\n# Forged <script>")
    text = card(datasets.build(tmp_path, [[video]], []))
    assert "| transcript | `x' / # Forged <script>` |" in text
    assert "\n# Forged" not in text
