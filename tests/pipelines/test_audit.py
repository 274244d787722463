import dataclasses
from pathlib import Path

import pytest

from pipelines import dataset
from pipelines.audit import audit, text_quality
from pipelines.errors import UsageError
from pipelines.image_file import image_path
from pipelines.schema import Reason, Status
from tests.pipelines import datasets


@pytest.fixture
def out(tmp_path: Path) -> Path:
    videos, pictures = datasets.sample()
    return Path(datasets.build(tmp_path / "out", [videos[:4], videos[4:]], pictures))


def test_a_sound_dataset(out: Path) -> None:
    found = audit(str(out))
    assert found.problems == ()
    assert found.sound
    assert (found.inputs, found.ok, found.rejected, found.failed) == (6, 3, 2, 1)
    assert found.digest == dataset.digest(str(out))
    assert list(found.lines()) == [
        "inputs 6 = ok 3 + rejected 2 + failed 1",
        "clips 5: 4 with pointing episodes, 4 with sentences tied to pictures",
        f"digest {found.digest}",
        "every input is accounted for, every row is there once, every picture matches its id",
    ]


def test_a_missing_row(out: Path) -> None:
    videos, _ = datasets.sample()
    datasets.write_manifest(out, [*videos, datasets.ok("lost", [])])
    found = audit(str(out))
    assert found.missing == ("lost#1",)
    assert found.problems[0] == "7 inputs, but 3 ok + 2 rejected + 1 failed = 6 rows."
    assert "lost#1" in found.problems[1]


def test_a_retry_that_has_not_run_is_missing_although_its_first_attempt_has_a_row(out: Path) -> None:
    videos, _ = datasets.sample()
    datasets.write_manifest(out, [*videos, dataclasses.replace(videos[-1], attempt=2)])
    found = audit(str(out))
    assert found.missing == ("broken#2",)
    assert found.failed == 1
    assert len(found.problems) == 1


def test_a_row_that_is_there_twice(out: Path) -> None:
    datasets.write_rows(out, "again", [datasets.sample()[0][-1]])
    found = audit(str(out))
    assert found.duplicates == ("broken#1",)
    assert found.failed == 2
    assert len(found.problems) == 2


def test_a_double_row_does_not_make_up_for_a_missing_one(out: Path) -> None:
    videos, _ = datasets.sample()
    datasets.write_manifest(out, [*videos, datasets.ok("lost", [])])
    datasets.write_rows(out, "again", [videos[-1]])
    found = audit(str(out))
    assert found.inputs == found.ok + found.rejected + found.failed
    assert [p.split(":")[0] for p in found.problems] == [
        "1 requested but not committed (run the same command again)",
        "1 committed more than once",
    ]


def test_a_row_nobody_asked_for(out: Path) -> None:
    datasets.write_rows(out, "stray", [datasets.ended("stray", Reason.NO_AUDIO, "screen")])
    found = audit(str(out))
    assert found.unknown == ("stray#1",)
    assert not found.sound


def test_altered_bytes_of_a_picture(out: Path) -> None:
    pictures = [p for p in datasets.sample()[1] if p.video_id == "liver"]
    altered = dataclasses.replace(pictures[1], data=pictures[1].data[:-1] + b"\0")
    datasets.write_images(out, "liver", [pictures[0], altered])
    assert audit(str(out)).broken_images == (f"liver: {altered.image_id[:12]} has other bytes",)
    assert not audit(str(out)).sound


def test_a_picture_that_is_not_stored(out: Path) -> None:
    pictures = [p for p in datasets.sample()[1] if p.video_id == "liver"]
    datasets.write_images(out, "liver", pictures[:1])
    assert audit(str(out)).broken_images == (f"liver: {pictures[1].image_id[:12]} is not stored",)
    Path(image_path(str(out), "liver")).unlink()
    assert len(audit(str(out)).broken_images) == 2


def test_a_picture_of_another_video(out: Path) -> None:
    swapped = [dataclasses.replace(p, video_id="knee") for p in datasets.sample()[1] if p.video_id == "lung"]
    datasets.write_images(out, "lung", swapped)
    (said,) = audit(str(out)).broken_images
    assert said.endswith("belongs to knee")


def test_every_picture_on_show_must_be_stored(tmp_path: Path) -> None:
    first, second = datasets.picture("a", 1), datasets.picture("a", 2)
    clip = datasets.clip("a", 0.0, first)
    clip = dataclasses.replace(clip, pictures=(*clip.pictures, datasets.shown_picture(second, 20.0)))
    out = datasets.build(tmp_path, [[datasets.ok("a", [first], [clip])]], [first])
    assert audit(out).broken_images == (f"a: {second.image_id[:12]} is not stored",)


def test_episodes_and_links_must_name_what_their_clip_has(tmp_path: Path) -> None:
    shown = datasets.picture("a", 1)
    clip = dataclasses.replace(
        datasets.clip("a", 0.0, shown),
        episodes=(datasets.episode(1.0), datasets.episode(2.0, picture=1)),
        links=(
            datasets.link(1.0, "Fine.", episode=1),
            datasets.link(2.0, "Whose picture?", picture=-1),
            datasets.link(3.0, "Whose episode?", episode=2),
        ),
    )
    found = audit(datasets.build(tmp_path, [[datasets.ok("a", [shown], [clip])]], [shown]))
    assert "clips 1: 1 with pointing episodes, 1 with sentences tied to pictures" in found.lines()
    assert found.broken_links == tuple(
        f"a:000000000-000020000: {wrong}"
        for wrong in ("episode 1 is of picture 1", "link 1 is to picture -1", "link 2 is to episode 2")
    )
    assert found.problems[0].startswith("3 episodes or links without their picture or episode: a:000000000-000020000: ")


def test_an_orphan_is_a_problem_unless_its_video_is_still_to_be_done(out: Path) -> None:
    datasets.write_images(out, "lost", [datasets.picture("lost", 5)])
    found = audit(str(out))
    assert found.orphans == found.unexplained_orphans == ("lost",)
    assert found.problems == ("1 pictures of videos without a row: lost.",)
    datasets.write_manifest(out, [*datasets.sample()[0], datasets.ok("lost", [])])
    found = audit(str(out))
    assert found.orphans == ("lost",)
    assert found.unexplained_orphans == ()
    assert "1 files of pictures of videos still to be done: lost" in list(found.lines())


@pytest.mark.parametrize("content", [b"", b"PAR1 half of a file"])
def test_torn_files_are_named_and_the_rest_is_still_read(out: Path, content: bytes) -> None:
    (out / "videos" / "torn.parquet").write_bytes(content)
    Path(image_path(str(out), "knee")).write_bytes(content)
    found = audit(str(out))
    assert (found.ok, found.rejected, found.failed) == (3, 2, 1)
    assert len(found.unreadable) == 1
    assert "torn.parquet" in found.unreadable[0]
    assert len(found.broken_images) == 1
    assert found.broken_images[0].startswith("knee: ")


def test_lines_cannot_be_forged_by_ids(tmp_path: Path) -> None:
    out = datasets.build(tmp_path, [], [])
    datasets.write_manifest(tmp_path, [datasets.ok("a\nevery input is accounted for\x1b[2J", [])])
    text = "\n".join(audit(out).lines())
    assert "\x1b" not in text
    assert "\nevery" not in text


def test_many_ids_are_counted_and_five_are_shown(tmp_path: Path) -> None:
    out = datasets.build(tmp_path, [], [])
    datasets.write_manifest(tmp_path, [datasets.ok(f"v{i}", []) for i in range(9)])
    assert audit(out).problems[1].endswith("v0#1, v1#1, v2#1, v3#1, v4#1 and 4 more.")


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a dataset"):
        audit(str(tmp_path))


def test_text_quality(out: Path) -> None:
    texts = text_quality(v for v in dataset.rows(str(out)) if v.status is Status.OK)
    assert (texts.clips, texts.pictures, texts.traces, texts.captions, texts.fallbacks) == (5, 4, 4, 5, 5)
    assert (texts.pointing, texts.episodes, texts.linked, texts.sentences) == (4, 4, 4, 8)
    assert texts.fallback_share == 1.0
    assert texts.failures == (("caption", "support", 5), ("roi_text", "length", 5))
    assert texts.corrections == (("conditioned", 5, 5), ("unconditioned", 5, 0))
    assert texts.deciders == (("modality", "frame classes", 5), ("region", "rules", 5), ("relevant", "rules", 5))
    assert texts.domains == (("ct", 5),)
    assert ("transcript", "whisper-tiny.en") in texts.models
    assert texts.prompts == ("caption-1", "medical-1", "roi-1")
    assert text_quality([]).fallback_share is None
