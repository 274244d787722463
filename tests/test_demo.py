"""The demo from beginning to end, with the starter models: what the README's first command does, and what must come out."""

import shutil
from pathlib import Path

import jiwer
import pytest
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

from pipelines import dataset
from pipelines.audit import audit
from pipelines.export import export_hf
from pipelines.schema import Domain, Reason, Status, Video
from pipelines.sources import inputs
from tests import runs
from tests.lectures.demo import EXPECTED, load_truth

pytestmark = [pytest.mark.cluster, pytest.mark.engine, pytest.mark.timeout(3000)]

OK = [name for name, (status, _) in EXPECTED.items() if status == "ok"]
DOMAINS = {
    "mri.mp4": Domain.MRI,
    "odd_sized.mkv": Domain.MRI,
    "cut_off.mp4": Domain.MRI,
    "ophthalmology.mp4": Domain.OPHTHALMOLOGY,
    "histopathology.mp4": Domain.HISTOPATHOLOGY,
}


@pytest.fixture(scope="module")
def rows(demo_dataset: Path) -> dict[str, Video]:
    return runs.by_name(demo_dataset)


def test_every_video_has_the_expected_outcome(rows: dict[str, Video]) -> None:
    assert {name: (str(v.status), v.reason and str(v.reason)) for name, v in rows.items()} == EXPECTED


def test_the_law_of_conservation(demo_dataset: Path) -> None:
    found = audit(str(demo_dataset))
    assert found.problems == ()
    assert found.inputs == len(EXPECTED) == found.ok + found.rejected + found.failed


@pytest.mark.parametrize("name", OK)
def test_lectures_are_what_they_are(rows: dict[str, Video], demo_videos: Path, name: str) -> None:
    video, known = rows[name], load_truth(demo_videos / name)
    assert video.domain is DOMAINS[name]
    assert video.probe is not None
    assert video.probe.truncated is (name == "cut_off.mp4")
    assert video.probe.variable_frame_rate is (name == "ophthalmology.mp4")
    assert (video.probe.rotation_deg != 0) is (name == "histopathology.mp4")
    assert [video.probe.width, video.probe.height] == known["size"]
    cuts = [s["start_s"] for s in known["scenes"][1:] if s["start_s"] < video.probe.duration_s - 1]
    assert len(video.scene_cuts_s) == len(cuts)
    assert all(abs(a - b) < 0.15 for a, b in zip(video.scene_cuts_s, cuts, strict=True))
    assert video.clips
    for clip in video.clips:
        assert clip.domain is DOMAINS[name]
        assert clip.caption is not None
        assert clip.caption.text
        assert clip.image_id is not None
        assert clip.trace
        medical = sum(max(0.0, min(clip.end_s, m["end_s"]) - max(clip.start_s, m["start_s"])) for m in known["medical"])
        assert medical > 0.9 * (clip.end_s - clip.start_s)


@pytest.mark.parametrize("name", OK)
def test_raw_transcripts_hear_the_script(rows: dict[str, Video], demo_videos: Path, name: str) -> None:
    video = rows[name]
    assert video.probe is not None
    normal = EnglishTextNormalizer({})
    spoken = " ".join(w["text"] for w in load_truth(demo_videos / name)["words"] if w["end_s"] < video.probe.duration_s)
    heard = " ".join(w.text for w in video.words)
    assert jiwer.wer(normal(spoken), normal(heard)) <= 0.20


def test_the_same_command_changes_nothing(demo_dataset: Path, demo_videos: Path) -> None:
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in (demo_dataset / "videos").iterdir()}
    digest = dataset.digest(str(demo_dataset))
    runs.run(["curate", str(demo_videos), "--out", str(demo_dataset)])
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in (demo_dataset / "videos").iterdir()} == before
    assert dataset.digest(str(demo_dataset)) == digest


def test_another_configuration_stops_before_any_work(demo_dataset: Path, demo_videos: Path) -> None:
    process = runs.start(["curate", str(demo_videos), "--out", str(demo_dataset), "--set", "clips.min_words=5"])
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "clips.min_words" in err


def test_screen_then_its_table_is_a_manifest_and_a_mended_file_gets_another_attempt(
    demo_videos: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "videos", tmp_path / "screened"
    folder.mkdir()
    shutil.copy(demo_videos / "mri.mp4", folder)
    shutil.copy(demo_videos / "text.mp4", folder / "mended.mp4")
    assert "accepted: 1 videos" in runs.run(["screen", str(folder), "--out", str(out)])
    assert runs.by_name(out)["mended.mp4"].reason is Reason.UNREADABLE
    assert [Path(i.uri).name for i in inputs(str(out / "accepted.parquet"))] == ["mri.mp4"]
    shutil.copy(demo_videos / "short.mp4", folder / "mended.mp4")
    runs.run(["retry", str(out), "--reason", "unreadable"])
    mended = runs.by_name(out)["mended.mp4"]
    assert (mended.attempt, mended.reason) == (2, Reason.TOO_SHORT)
    assert audit(str(out)).problems == ()


def test_the_export_loads(demo_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    export_hf(str(demo_dataset), str(tmp_path / "clips"))
    loaded = datasets.load_dataset(str(tmp_path / "clips"), split="train", cache_dir=str(tmp_path / "cache"))
    clips = [c for v in dataset.rows(str(demo_dataset)) if v.status is Status.OK for c in v.clips]
    assert sorted(loaded["clip_id"]) == sorted(c.clip_id for c in clips)
    assert loaded[0]["image"].size == (loaded[0]["image_width"], loaded[0]["image_height"])
