import base64
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipelines import gallery, report
from pipelines.errors import UsageError
from pipelines.image_file import image_path
from pipelines.report import clock, write_report
from pipelines.schema import Clip, Image, ModelText, Probe, Reason, StableInterval, StageTime, Video
from tests.pipelines import datasets

HOSTILE = "\"'><script>alert(1)</script><img src=https://example.org/x onerror=alert(2)>{{ 7 * 7 }}"


class _Page(HTMLParser):
    """Tags with their attributes, and the visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag == "script"
        self.text += " " if tag in ("td", "th", "dt", "dd") else ""

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)
        else:
            self.text += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]

    def having(self, name: str, style: str) -> list[dict[str, str | None]]:
        return [a for a in self.all(name) if style in (a.get("class") or "").split()]


def _page(out: str, tmp_path: Path, max_clips: int = 60) -> _Page:
    write_report(out, tmp_path / "new" / "report.html", max_clips=max_clips)
    return _Page((tmp_path / "new" / "report.html").read_text(encoding="utf-8"))


@pytest.fixture
def out(tmp_path: Path) -> str:
    videos, pictures = datasets.sample()
    return datasets.build(tmp_path / "out", [videos[:4], videos[4:]], pictures)


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def test_the_page_says_what_happened(out: str, tmp_path: Path) -> None:
    (Path(out) / "run.json").write_text('{"started_at": 1900000000.0, "seconds": 432.0, "startup_s": 15.5}')
    text = _squeezed(_page(out, tmp_path).text)
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
    assert "7 videos were asked for, 6 have a row" in _squeezed(_page(out, tmp_path).text)


def test_nothing_comes_from_outside(out: str, tmp_path: Path) -> None:
    page = _page(out, tmp_path)
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
    page = _page(datasets.build(tmp_path / "out", [videos], [shown]), tmp_path)
    assert page.text.count(HOSTILE) >= 5
    assert "49" not in page.text.replace("0.49", "")
    assert page.all("script") == [{"type": "application/json", "class": "data"}, {}]
    json.loads(page.scripts[0])
    assert len(page.all("img")) == 1
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on")]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "out"]


def test_no_rows_at_all_still_make_a_page(tmp_path: Path) -> None:
    text = _squeezed(_page(datasets.build(tmp_path / "out", [], []), tmp_path).text)
    assert "inputs 0 videos" in text
    assert "No video became a clip." in text


def test_no_ok_rows_still_make_a_page(tmp_path: Path) -> None:
    out = datasets.build(tmp_path / "out", [[datasets.ended("a", Reason.NOT_NARRATIVE, "classify")]], [])
    text = _squeezed(_page(out, tmp_path).text)
    assert "rejected classify not_narrative 1" in text
    assert "No video became a clip." in text


def test_the_gallery_is_bounded_and_shows_every_videos_first_clip_first(out: str, tmp_path: Path) -> None:
    page = _page(out, tmp_path, max_clips=3)
    assert len(page.all("article")) == 3
    assert "2 more clips are not shown" in page.text
    gallery = page.text.split("Videos\n")[0].split("\nClips\n")[1]
    assert all(video_id in gallery for video_id in ("knee", "liver", "lung"))


def test_the_table_is_bounded_and_starts_with_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MAX_VIDEOS", 3)
    many = [datasets.ended(f"reject-{i:03d}", Reason.NO_SPEECH, "screen") for i in range(60)]
    out = datasets.build(tmp_path / "out", [[*many, datasets.ended("fault", Reason.DEADLINE, "look")]], [])
    page = _page(out, tmp_path)
    table = _squeezed(page.text.split("Videos\n")[-1])
    assert re.findall(r"reject-\d+|fault", table) == ["fault", "reject-000", "reject-001"]
    assert "58 more videos are left out" in table


def test_a_picture_that_is_gone_or_broken_is_said(out: str, tmp_path: Path) -> None:
    Path(image_path(out, "knee")).unlink()
    pictures = [p for p in datasets.sample()[1] if p.video_id == "liver"]
    datasets.write_images(out, "liver", [dataclasses.replace(pictures[0], data=b"no picture"), pictures[1]])
    page = _page(out, tmp_path)
    assert "the picture is not stored" in page.text
    assert "the picture cannot be decoded" in page.text
    assert len(page.all("img")) == 2


def test_traces_are_drawn_in_the_pixels_of_the_stored_picture(out: str, tmp_path: Path) -> None:
    page = _page(out, tmp_path)
    assert {svg["viewbox"] for svg in page.all("svg") if "viewbox" in svg} == {"0 0 160 120"}
    assert len([line for line in page.all("line") if line["class"] == "path"]) == 4 * 11
    box = page.having("rect", "box")[0]
    assert [box[k] for k in ("x", "y", "width", "height")] == ["90.0", "30.0", "29.0", "30.0"]


def _film() -> tuple[Video, Clip, list[Image]]:
    """A clip of 20 s with two pictures, the first shown twice, and four traces."""
    one, two = datasets.picture("film", 1), datasets.picture("film", 2)
    pictures = tuple(datasets.shown_picture(p, t, 5.0) for p, t in ((one, 0.0), (two, 5.0), (one, 10.0), (two, 15.0)))
    clip = dataclasses.replace(
        datasets.clip("film", 0.0, one),
        pictures=pictures,
        image_end_s=5.0,
        trace=datasets.points([1.0, 2.0, 3.0]),
        episodes=tuple(datasets.episode(5.0 * i + 1, picture=i) for i in range(4)),
        links=(
            datasets.link(1.0, "Look here.", episode=0),
            datasets.link(6.0, "And <here>.", episode=1, picture=1),
            datasets.link(6.0, "And <here>.", episode=None, picture=0, main=False),
        ),
    )
    stable = tuple(
        StableInterval(start_s=p.start_s, end_s=p.end_s, image_id=p.image_id, method="median", width=160, height=120,
                       trace=datasets.points([p.start_s + t for t in (1.0, 2.0, 3.0)]))
        for p in pictures
    )  # fmt: skip
    return dataclasses.replace(datasets.ok("film", [one, two], [clip]), stable=stable), clip, [one, two]


def test_each_picture_has_its_own_episodes_path_and_times(tmp_path: Path) -> None:
    video, _, pictures = _film()
    page = _page(datasets.build(tmp_path / "out", [[video]], pictures), tmp_path)
    assert [d["data-view"] for d in page.having("div", "picture")] == ["0", "1"]
    assert [g["data-episode"] for g in page.having("g", "episode")] == ["0", "2", "1", "3"]
    assert [g["data-episode"] for g in page.having("g", "pointing")] == ["0", "1", "2", "3"]
    assert len(page.having("g", "band")) == 4
    assert len(page.having("g", "mark")) == 2
    data = json.loads(page.scripts[0])
    assert [[p[0] for p in v["trace"]] for v in data["views"]] == [[1, 2, 3, 11, 12, 13], [6, 7, 8, 16, 17, 18]]
    assert data["views"][1]["spans"] == [[5, 10], [15, 20]]
    assert data["episodes"]["3"] == [16, 17.5]
    text = _squeezed(page.text)
    assert "0:01.0 roi picture 1, episode 1 Look here." in text
    assert "0:06.0 roi picture 2, episode 2 And <here>. (picture 1 beside)" in text
    assert "where it truly was" not in text


def test_episodes_and_the_path_share_the_colours_of_the_time_line(tmp_path: Path) -> None:
    video, _, pictures = _film()
    page = _page(datasets.build(tmp_path / "out", [[video]], pictures), tmp_path)
    hues = [int(str(box["stroke"])[4:].split()[0]) for box in page.having("rect", "box")]
    assert hues == [192, 87, 139, 34]
    assert page.having("line", "path")[0]["stroke"] == f"hsl({210 - 210 / 20:.0f} 95% 55%)"


def test_what_is_shown_is_bounded_and_wrong_indices_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video, clip, _ = _film()
    many = [datasets.picture("film", i, (160, 120 + i)) for i in range(9)]
    shown = tuple(datasets.shown_picture(p, 2.0 * i, 2.0) for i, p in enumerate(many))
    wrong = (datasets.episode(1.0, picture=9), datasets.episode(1.0, picture=-1))
    said = tuple(datasets.link(i / 10, f"Sentence {i}.", episode=99, picture=9 if i < 3 else 0) for i in range(80))
    clip = dataclasses.replace(
        datasets.clip("film", 0.0, many[0]), pictures=shown, episodes=(*wrong, *80 * clip.episodes[:1]), links=said
    )
    monkeypatch.setattr(gallery, "MAX_SENTENCES", 10)
    monkeypatch.setattr(gallery, "MAX_EPISODES", 5)
    page = _page(datasets.build(tmp_path / "out", [[dataclasses.replace(video, clips=(clip,))]], many), tmp_path)
    assert len(page.all("img")) == 1 + gallery.MAX_OTHERS
    assert len(page.having("g", "pointing")) == 5
    assert len([li for li in page.all("li") if "data-said" in li]) == 10
    text = _squeezed(page.text)
    assert "2 more pictures are not shown" in text
    assert "67 more sentences are not shown" in text
    assert "episode 100" not in text


def _beside(tmp_path: Path, content: str) -> _Page:
    video, _, pictures = _film()
    (tmp_path / "film.truth.json").write_text(content)
    video = dataclasses.replace(video, uri=str(tmp_path / "film.mp4"))
    return _page(datasets.build(tmp_path / "out", [[video]], pictures), tmp_path)


def test_the_true_path_is_drawn_where_it_is_known(tmp_path: Path) -> None:
    cursor = [{"time_s": i / 2, "x": 4 * i, "y": 40, "visible": i != 3} for i in range(40)]
    page = _beside(tmp_path, json.dumps({"size": [640, 480], "cursor": cursor, "words": []}))
    assert "where it truly was (film.truth.json)" in _squeezed(page.text)
    paths = [line["points"] for line in page.having("polyline", "truth")]
    assert len(paths) == 5  # two showings each, one of them broken where the cursor is hidden
    assert paths[0] == "0.0,10.0 1.0,10.0 2.0,10.0"
    assert json.loads(page.scripts[0])["views"][0]["truth"][0] == [0, 0, 10]


@pytest.mark.parametrize("content", ["", "[1]", '{"cursor": 3}', '{"cursor": [], "size": [0, 1]}', '{"cursor": []}'])
def test_a_file_that_is_no_truth_is_not_shown(tmp_path: Path, content: str) -> None:
    assert "where it truly was" not in _beside(tmp_path, content).text


def test_stage_times_count_every_row(tmp_path: Path) -> None:
    times = [1.0, 2.0, 9.0]
    rows = [
        Video(video_id=f"v{i}", uri="u", probe=Probe(container="mp4", duration_s=1.0),
              stage_times=(StageTime(stage="screen", seconds=s), StageTime(stage="look", seconds=4.0)))
        for i, s in enumerate(times)
    ]  # fmt: skip
    text = _squeezed(_page(datasets.build(tmp_path / "out", [rows], []), tmp_path).text)
    assert "screen 3 12.0 s 2.0 s 50.0 %" in text


def test_without_a_path_it_lies_with_the_dataset(out: str) -> None:
    write_report(out)
    assert (Path(out) / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_path_may_be_an_address(out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_report(out, f"file://{tmp_path}/at/page.html")
    write_report(out, "here.html")
    assert (tmp_path / "at" / "page.html").read_bytes() == (tmp_path / "here.html").read_bytes()


def test_clock() -> None:
    assert [clock(s) for s in (0, 59.96, 61.25, 3723.4)] == ["0:00.0", "1:00.0", "1:01.2", "1:02:03.4"]


def test_no_dataset_no_report(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_report(str(tmp_path), tmp_path / "report.html")
    assert not list(tmp_path.iterdir())
