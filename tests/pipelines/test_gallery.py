"""What the report shows of a clip: its pictures, the pointing in them, and the cursor's true path."""

import dataclasses
import json
from pathlib import Path

import pytest

from pipelines import gallery
from pipelines.schema import Clip, Image, StableInterval, Video
from tests.pipelines import datasets
from tests.pipelines.pages import Page, page_of, squeezed


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
    page = page_of(datasets.build(tmp_path / "out", [[video]], pictures), tmp_path)
    assert [d["data-view"] for d in page.having("div", "picture")] == ["0", "1"]
    assert [g["data-episode"] for g in page.having("g", "episode")] == ["0", "2", "1", "3"]
    assert [g["data-episode"] for g in page.having("g", "pointing")] == ["0", "1", "2", "3"]
    assert len(page.having("g", "band")) == 4
    assert len(page.having("g", "mark")) == 2
    data = json.loads(page.scripts[0])
    times = [[[p[0] for p in run] for run in view["trace"]] for view in data["views"]]
    assert times == [[[1, 2, 3], [11, 12, 13]], [[6, 7, 8], [16, 17, 18]]]
    assert data["views"][1]["spans"] == [[5, 10], [15, 20]]
    assert data["episodes"]["3"] == [16, 17.5]
    text = squeezed(page.text)
    assert "0:01.0 roi picture 1, episode 1 Look here." in text
    assert "0:06.0 roi picture 2, episode 2 And <here>. (picture 1 beside)" in text
    assert "where it truly was" not in text


def test_episodes_and_the_path_share_the_colours_of_the_time_line(tmp_path: Path) -> None:
    video, _, pictures = _film()
    page = page_of(datasets.build(tmp_path / "out", [[video]], pictures), tmp_path)
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
    page = page_of(datasets.build(tmp_path / "out", [[dataclasses.replace(video, clips=(clip,))]], many), tmp_path)
    assert len(page.all("img")) == 1 + gallery.MAX_OTHERS
    assert len(page.having("g", "pointing")) == 5
    assert len([li for li in page.all("li") if "data-said" in li]) == 10
    text = squeezed(page.text)
    assert "2 more pictures are not shown" in text
    assert "67 more sentences are not shown" in text
    assert "episode 100" not in text


def _beside(tmp_path: Path, content: str) -> Page:
    video, _, pictures = _film()
    (tmp_path / "film.truth.json").write_text(content)
    video = dataclasses.replace(video, uri=str(tmp_path / "film.mp4"))
    return page_of(datasets.build(tmp_path / "out", [[video]], pictures), tmp_path)


def test_the_true_path_is_drawn_where_it_is_known(tmp_path: Path) -> None:
    cursor = [{"time_s": i / 2, "x": 4 * i, "y": 40, "visible": i != 3} for i in range(40)]
    page = _beside(tmp_path, json.dumps({"size": [640, 480], "cursor": cursor, "words": []}))
    assert "where it truly was (film.truth.json)" in squeezed(page.text)
    paths = [line["points"] for line in page.having("polyline", "truth")]
    assert len(paths) == 5  # two showings each, one of them broken where the cursor is hidden
    assert paths[0] == "0.0,10.0 1.0,10.0 2.0,10.0"
    assert json.loads(page.scripts[0])["views"][0]["truth"][0][0] == [0, 0, 10]


@pytest.mark.parametrize("content", ["", "[1]", '{"cursor": 3}', '{"cursor": [], "size": [0, 1]}', '{"cursor": []}'])
def test_a_file_that_is_no_truth_is_not_shown(tmp_path: Path, content: str) -> None:
    assert "where it truly was" not in _beside(tmp_path, content).text
