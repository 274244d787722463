import base64
import dataclasses
import hashlib
import json
import re
from pathlib import Path

import pytest

from pipelines import report
from pipelines.errors import UsageError
from pipelines.image_file import image_path
from pipelines.report import clock, write_report
from pipelines.schema import ModelText, Probe, Reason, StageTime, Video
from tests.pipelines import datasets
from tests.pipelines.pages import page_of, squeezed

HOSTILE = "\"'><script>alert(1)</script><img src=https://example.org/x onerror=alert(2)>{{ 7 * 7 }}"


@pytest.fixture
def out(tmp_path: Path) -> str:
    videos, pictures = datasets.sample()
    return datasets.build(tmp_path / "out", [videos[:4], videos[4:]], pictures)


def test_the_page_says_what_happened(out: str, tmp_path: Path) -> None:
    (Path(out) / "run.json").write_text('{"started_at": 1900000000.0, "seconds": 432.0, "startup_s": 15.5}')
    text = squeezed(page_of(out, tmp_path).text)
    for said in (
        "recipe starter", datasets.FINGERPRINT, "last run started 2030-03-17 17:46 UTC", "last run took 7.2 min",
        "of it start-up 15.5 s",
        "inputs 6 videos 0.67 h", "screened 5 videos 0.67 h", "accepted 3 videos 0.50 h", "ok 3 videos 0.50 h",
        "3 ok 2 rejected 1 failed 5 clips 4 with a picture 4 with a cursor trace 4 with pointing (4 episodes)"
        " 8 sentences tied to pictures, in 4 clips",
        "failed screen unreadable 1 broken moov atom not found",
        "100.0 % of 5 captions are the corrected transcript",
        "conditioned 5 5 100.0 %", "caption support 5", "region rules 5",
        "look 3 36.0 s 12.0 s 85.7 %",
        "haemangioma",
    ):  # fmt: skip
        assert said in text
    assert "not complete" not in text


def test_the_page_says_when_rows_are_missing(out: str, tmp_path: Path) -> None:
    datasets.write_manifest(Path(out), [*datasets.sample()[0], datasets.ok("lost", [])])
    assert "7 videos were asked for, 6 have a row" in squeezed(page_of(out, tmp_path).text)


def test_nothing_comes_from_outside(out: str, tmp_path: Path) -> None:
    page = page_of(out, tmp_path)
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    own = base64.b64encode(hashlib.sha256(page.scripts[-1].encode()).digest()).decode()
    assert policy == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{own}'"
    assert page.all("script") == [*4 * [{"type": "application/json", "class": "data"}], {}]
    assert "http" not in page.scripts[-1]
    assert not {"link", "iframe", "object", "embed", "form", "a", "base"} & {tag for tag, _ in page.tags}
    assert all(str(img["src"]).startswith("data:image/jpeg;base64,") for img in page.all("img"))
    assert len(page.all("img")) == 4
    style = (tmp_path / "new" / "report.html").read_text().split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_hostile_ids_and_texts_stay_text(tmp_path: Path) -> None:
    shown = datasets.picture(HOSTILE, 1)
    clip = dataclasses.replace(
        datasets.clip(HOSTILE, 0.0, shown, HOSTILE),
        caption=ModelText(text=HOSTILE, source=HOSTILE, model=HOSTILE, prompt="p"),
    )
    videos = [
        datasets.ok(HOSTILE, [shown], [clip]),
        dataclasses.replace(datasets.ended("../../x", Reason.MISSING, "screen", HOSTILE), stage=HOSTILE),
    ]
    page = page_of(datasets.build(tmp_path / "out", [videos], [shown]), tmp_path)
    assert page.text.count(HOSTILE) >= 5
    assert "49" not in page.text.replace("0.49", "")
    assert page.all("script") == [{"type": "application/json", "class": "data"}, {}]
    json.loads(page.scripts[0])
    assert len(page.all("img")) == 1
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on")]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "out"]


def test_no_rows_at_all_still_make_a_page(tmp_path: Path) -> None:
    text = squeezed(page_of(datasets.build(tmp_path / "out", [], []), tmp_path).text)
    assert "inputs 0 videos" in text
    assert "No video became a clip." in text


def test_no_ok_rows_still_make_a_page(tmp_path: Path) -> None:
    out = datasets.build(tmp_path / "out", [[datasets.ended("a", Reason.NOT_NARRATIVE, "classify")]], [])
    text = squeezed(page_of(out, tmp_path).text)
    assert "rejected classify not_narrative 1" in text
    assert "No video became a clip." in text


def test_the_gallery_is_bounded_and_shows_every_videos_first_clip_first(out: str, tmp_path: Path) -> None:
    page = page_of(out, tmp_path, max_clips=3)
    assert len(page.all("article")) == 3
    assert "2 more clips are not shown" in page.text
    gallery = page.text.split("Videos\n")[0].split("\nClips\n")[1]
    assert all(video_id in gallery for video_id in ("knee", "liver", "lung"))


def test_the_table_is_bounded_and_starts_with_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MAX_VIDEOS", 3)
    many = [datasets.ended(f"reject-{i:03d}", Reason.NO_SPEECH, "screen") for i in range(60)]
    out = datasets.build(tmp_path / "out", [[*many, datasets.ended("fault", Reason.DEADLINE, "look")]], [])
    page = page_of(out, tmp_path)
    table = squeezed(page.text.split("Videos\n")[-1])
    assert re.findall(r"reject-\d+|fault", table) == ["fault", "reject-000", "reject-001"]
    assert "58 more videos are left out" in table


def test_a_picture_that_is_gone_or_broken_is_said(out: str, tmp_path: Path) -> None:
    Path(image_path(out, "knee")).unlink()
    pictures = [p for p in datasets.sample()[1] if p.video_id == "liver"]
    datasets.write_images(out, "liver", [dataclasses.replace(pictures[0], data=b"no picture"), pictures[1]])
    page = page_of(out, tmp_path)
    assert "the picture is not stored" in page.text
    assert "the picture cannot be decoded" in page.text
    assert len(page.all("img")) == 2


def test_traces_are_drawn_in_the_pixels_of_the_stored_picture(out: str, tmp_path: Path) -> None:
    page = page_of(out, tmp_path)
    assert {svg["viewbox"] for svg in page.all("svg") if "viewbox" in svg} == {"0 0 160 120"}
    assert len([line for line in page.all("line") if line["class"] == "path"]) == 4 * 11
    box = page.having("rect", "box")[0]
    assert [box[k] for k in ("x", "y", "width", "height")] == ["90.0", "30.0", "29.0", "30.0"]


def test_stage_times_count_every_row(tmp_path: Path) -> None:
    times = [1.0, 2.0, 9.0]
    rows = [
        Video(video_id=f"v{i}", uri="u", probe=Probe(container="mp4", duration_s=1.0),
              stage_times=(StageTime(stage="screen", seconds=s), StageTime(stage="look", seconds=4.0)))
        for i, s in enumerate(times)
    ]  # fmt: skip
    text = squeezed(page_of(datasets.build(tmp_path / "out", [rows], []), tmp_path).text)
    assert "screen 3 12.0 s 2.0 s 50.0 %" in text


def test_without_a_path_it_lies_with_the_dataset(out: str) -> None:
    write_report(out)
    assert (Path(out) / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_path_may_be_an_address(out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_report(out, f"file://{tmp_path}/at/page.html")
    write_report(out, "here.html")
    assert (tmp_path / "at" / "page.html").read_bytes() == (tmp_path / "here.html").read_bytes()


def test_a_damaged_picture_file_does_not_take_the_page(out: str, tmp_path: Path) -> None:
    Path(image_path(out, "knee")).write_bytes(b"")
    write_report(out, tmp_path / "page.html")
    assert "or its file is damaged" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("name", ["reports", "reports/"])
def test_a_folder_is_no_file_for_the_page(out: str, tmp_path: Path, name: str) -> None:
    (tmp_path / "reports").mkdir()
    with pytest.raises(UsageError, match="is a folder; name the page's file"):
        write_report(out, f"{tmp_path}/{name}")
    assert not list(tmp_path.glob("*.tmp"))
    assert not list((tmp_path / "reports").iterdir())


def test_clock() -> None:
    assert [clock(s) for s in (0, 59.96, 61.25, 3723.4)] == ["0:00.0", "1:00.0", "1:01.2", "1:02:03.4"]


def test_no_dataset_no_report(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_report(str(tmp_path), tmp_path / "report.html")
    assert not list(tmp_path.iterdir())
