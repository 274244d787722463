import dataclasses
import json
from pathlib import Path

import pytest

from pipelines import dataset
from pipelines.digest import Digest
from pipelines.errors import UsageError
from pipelines.schema import VIDEO_COLUMNS_VOLATILE, Reason, StageTime, Status, Video
from tests.pipelines import datasets


@pytest.fixture
def out(tmp_path: Path) -> str:
    videos, pictures = datasets.sample()
    return datasets.build(tmp_path / "out", [videos[:3], videos[3:4], videos[4:]], pictures)


def test_rows_are_the_highest_attempts_and_come_back_whole(out: str) -> None:
    wanted = [v for v in datasets.sample()[0] if (v.video_id, v.attempt) != ("knee", 1)]
    assert list(dataset.rows(out)) == wanted


def test_a_lower_attempt_in_a_later_file_stays_superseded(tmp_path: Path) -> None:
    first, second = datasets.ended("a", Reason.DEADLINE, "look"), datasets.ok("a", [], attempt=2)
    out = datasets.build(tmp_path, [[second], [first]], [])
    assert list(dataset.rows(out)) == [second]
    assert [v.attempt for v in dataset.rows_in_order(out, Status.FAILED)] == []


def test_columns_not_asked_for_keep_their_defaults(out: str) -> None:
    video = next(dataset.rows(out, ("status",)))
    assert video == Video(video_id="lung", uri="/videos/lung.mp4", status=Status.OK)


def test_rows_in_order_sorts_by_id_across_files_and_row_groups(tmp_path: Path) -> None:
    names = ["e", "b", "g", "a", "f", "c", "d"]
    rows = [datasets.ok(n, []) for n in names]
    out = datasets.build(tmp_path, [rows[:5], rows[5:]], [])  # row groups of two
    assert list(dataset.rows_in_order(out, Status.OK)) == sorted(rows, key=lambda v: v.video_id)


def test_rows_in_order_refuses_a_row_that_is_there_twice(tmp_path: Path) -> None:
    row = datasets.ok("a", [])
    out = datasets.build(tmp_path, [[row], [row]], [])
    with pytest.raises(UsageError, match="'a' has two rows"):
        list(dataset.rows_in_order(out, Status.OK))


def test_images_of_a_video(out: str) -> None:
    pictures = [p for p in datasets.sample()[1] if p.video_id == "liver"]
    assert dataset.images(out, "liver") == {p.image_id: p for p in pictures}
    assert dataset.image_ids(out, "liver") == {p.image_id for p in pictures}
    assert dataset.images(out, "cooking") == {}


def test_manifest_and_settings(out: str) -> None:
    first = next(dataset.manifest(out))
    assert (first.row_id, first.uri, first.content_id) == ("lung#1", "/videos/lung.mp4", "100-abc")
    assert dataset.settings(out).fingerprint == datasets.FINGERPRINT
    assert dataset.settings(out).recipe == "starter"


def test_a_folder_without_a_manifest_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no manifest\.parquet"):
        list(dataset.manifest(str(tmp_path)))
    with pytest.raises(UsageError, match=r"no config\.json"):
        dataset.settings(str(tmp_path))


def test_funnel_counts_and_hours(out: str) -> None:
    funnel = dataset.funnel(out)
    assert funnel.inputs == funnel.committed == 6
    assert [(o.status, o.stage, o.reason, o.videos) for o in funnel.outcomes] == [
        (Status.OK, None, None, 3),
        (Status.REJECTED, "classify", Reason.NOT_MEDICAL, 1),
        (Status.REJECTED, "screen", Reason.NO_SPEECH, 1),
        (Status.FAILED, "screen", Reason.UNREADABLE, 1),
    ]
    assert [(name, videos) for name, videos, _ in funnel.steps] == [
        ("inputs", 6), ("screened", 5), ("accepted", 3), ("ok", 3),
    ]  # fmt: skip
    hours = 3 * 600 / 3600 + 2 * 300 / 3600
    assert [h for _, _, h in funnel.steps] == pytest.approx([hours, hours, 0.5, 0.5])
    assert [o.unmeasured for o in funnel.outcomes] == [0, 0, 0, 1]


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    out = datasets.build(tmp_path, [[datasets.ok("a", [])]], [])
    (tmp_path / "videos" / "torn.parquet").write_bytes(b"PAR1 half")
    with pytest.raises(UsageError, match=r"torn\.parquet cannot be read"):
        list(dataset.rows(out))


def test_digest_ignores_files_order_and_volatile_columns(out: str, tmp_path: Path) -> None:
    videos, pictures = datasets.sample()
    other = [
        dataclasses.replace(v, host="node-9", finished_at=None, stage_times=(StageTime(stage="x", seconds=9.0),))
        for v in reversed(videos)
    ]
    again = datasets.build(tmp_path / "again", [other[:1], other[1:]], pictures[::-1])
    assert dataset.digest(again) == dataset.digest(out)


def test_digest_does_not_see_the_number_of_the_attempt(tmp_path: Path) -> None:
    first = datasets.build(tmp_path / "1", [[datasets.ok("a", [])]], [])
    third = datasets.build(tmp_path / "3", [[datasets.ok("a", [], attempt=3)]], [])
    assert dataset.digest(first) == dataset.digest(third)


_OTHER = {"status": Status.FAILED, "reason": Reason.DEADLINE, "domain": None, "probe": None}
_STABLE_COLUMNS = [f.name for f in dataclasses.fields(Video) if f.name not in VIDEO_COLUMNS_VOLATILE]


@pytest.mark.parametrize("column", _STABLE_COLUMNS)
def test_digest_changes_with_every_other_column(column: str) -> None:
    video = datasets.ok("a", [datasets.picture("a", 1)])
    value = getattr(video, column)
    if column in _OTHER:
        other = _OTHER[column]
    elif isinstance(value, tuple):
        other = () if value else (1.5,)
    elif isinstance(value, float):
        other = value + 0.001
    else:
        other = f"{value} and more"
    changed = dataclasses.replace(video, **{column: other})
    before, after = Digest(), Digest()
    before.add(video, ["i"])
    after.add(changed, ["i"])
    assert before.hexdigest() != after.hexdigest()


def test_digest_changes_with_the_stored_pictures() -> None:
    video = datasets.ok("a", [datasets.picture("a", 1)])
    digests = set()
    for stored in ([], ["i"], ["i", "j"]):
        whole = Digest()
        whole.add(video, stored)
        digests.add(whole.hexdigest())
    assert len(digests) == 3


def test_hostile_ids_stay_in_the_folder(tmp_path: Path) -> None:
    hostile = "../../x<script>"
    shown = datasets.picture(hostile, 1)
    out = datasets.build(tmp_path / "deep" / "er", [[datasets.ok(hostile, [shown])]], [shown])
    assert dataset.images(out, hostile) == {shown.image_id: shown}
    assert list(dataset.image_files(out)) == [hostile]
    assert {p.relative_to(tmp_path).parts[:2] for p in tmp_path.rglob("*.parquet")} == {("deep", "er")}


def test_settings_say_what_is_wrong_with_them(out: str) -> None:
    (Path(out) / "config.json").write_text(json.dumps({"settings": {}}))
    with pytest.raises(UsageError, match="fingerprint"):
        dataset.settings(out)
