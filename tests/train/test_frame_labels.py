"""Labels from folders and CSV files, groups by source and by likeness, and a split that keeps every group whole."""

import numpy as np
import pytest

from pipelines.errors import UsageError
from pipelines.store import Store
from tests.train import tiny_frames
from train import frame_labels
from train.frame_data import difference_hash, pixel_sha256, read_picture
from train.frame_labels import HELD_OUT, LEARNED, Labelled, alike, csv_labels, folder_labels, grouped, split
from train.frame_screens import empty_screen


def row(label, group, part=""):
    return Labelled(path=f"{label}-{group}", label=label, group=group, part=part)


def known(pictures):
    """What `alike` knows pictures by."""
    return np.stack([difference_hash(p) for p in pictures]), [pixel_sha256(p) for p in pictures]


def test_folders_give_labels_and_groups(tmp_path):
    tiny_frames.save(tmp_path / "ct" / "a.png", tiny_frames.drawing(0, red=True))
    tiny_frames.save(tmp_path / "ct" / "talk" / "1.jpg", tiny_frames.drawing(1, red=True))
    tiny_frames.save(tmp_path / "nonmedical" / "talk" / "2.png", tiny_frames.drawing(2, red=True))
    (tmp_path / "ct" / "notes.txt").write_text("no picture")
    rows = folder_labels(tmp_path)
    assert [(r.label, r.group) for r in rows] == [("ct", "ct/a.png"), ("ct", "talk"), ("nonmedical", "talk")]
    with pytest.raises(UsageError, match="one for each class"):
        folder_labels(tmp_path / "ct" / "talk")
    tiny_frames.save(tmp_path / ".ipynb_checkpoints" / "a.png", tiny_frames.drawing(0, red=True))
    (tmp_path / "__MACOSX").mkdir()
    assert folder_labels(tmp_path) == rows
    (tmp_path / "mri").mkdir()
    (tmp_path / "mri" / "scan.tif").write_bytes(b"of another kind")
    with pytest.raises(UsageError, match=r"mri holds no picture \(\.png"):
        folder_labels(tmp_path)


def test_csv_gives_labels_and_groups(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("\ufeffpath,label,group\na.png,ct,talk\n/far/b.png,nonmedical,\nc.png,,talk\n")
    rows = csv_labels(file)
    assert [(r.path, r.label, r.group) for r in rows] == [
        (str(tmp_path / "a.png"), "ct", "talk"),
        ("/far/b.png", "nonmedical", "/far/b.png"),
        (str(tmp_path / "c.png"), "", "talk"),
    ]  # fmt: skip
    found, left_out = frame_labels.read([file])
    assert len(found) == 2
    assert left_out == {"without a label": 1}
    with pytest.raises(UsageError, match="labelled 2 times"):
        frame_labels.read([file, file])
    file.write_text("label,path\nct,a.png\nct\n")
    with pytest.raises(UsageError, match="Line 3 of .* names no picture"):
        csv_labels(file)
    file.write_text("path,class\na.png,ct\n")
    with pytest.raises(UsageError, match="path and label"):
        csv_labels(file)
    with pytest.raises(UsageError, match="no file"):
        csv_labels(tmp_path / "none.csv")


def test_every_group_is_in_one_part_and_every_class_in_both():
    rows = [row("ct", f"video{i // 3}") for i in range(30)]
    rows += [row("nonmedical", f"video{i}") for i in range(10)] + [row("mri", f"rare{i}") for i in range(2)]
    made = split(rows, 0.2)
    parts = {}
    for r in made:
        parts.setdefault(r.group, set()).add(r.part)
    assert all(len(p) == 1 for p in parts.values())
    for label in ("ct", "nonmedical", "mri"):
        assert {r.part for r in made if r.label == label} == {HELD_OUT, LEARNED}
    held_out = {r.group for r in made if r.part == HELD_OUT and r.label != "mri"}
    assert len(held_out) == 2
    assert [r.part for r in split(rows[::-1], 0.2)] == [r.part for r in made][::-1]


def test_a_class_of_one_group_cannot_be_split():
    with pytest.raises(UsageError, match="class mri has no two"):
        split([row("mri", "a"), row("mri", "a"), row("ct", "b"), row("ct", "c")], 0.2)
    with pytest.raises(UsageError, match="shares its groups"):
        split([row("mri", "a"), row("mri", "b"), *(row("ct", g) for g in "abcd"), *(row("nonmedical", g) for g in "ab"),
               *(row("dentistry", g) for g in ("x", "y")), *(row("surgery", g) for g in ("b", "y", "x")),
               *(row("xray", g) for g in split_loser())], 0.2)  # fmt: skip


def split_loser():
    """Two groups that the rarer classes above have put into one part."""
    made = split([row("mri", "a"), row("mri", "b"), row("dentistry", "x"), row("dentistry", "y")], 0.2)
    return [r.group for r in made if r.part == LEARNED] * 2


def test_copies_share_a_kind_also_by_way_of_others_and_blank_pictures_do_not():
    import cv2

    picture = tiny_frames.drawing(0, red=True)
    small = cv2.resize(picture, (60, 60), interpolation=cv2.INTER_AREA)
    blank = np.full((50, 50, 3), 9, np.uint8)
    shown = [picture, tiny_frames.drawing(1, red=True), small, blank, blank + 100]
    kinds, contradicted = alike(*known(shown), np.array(["ct", "ct", "mri", "ct", "mri"]))
    assert kinds[0] == kinds[2]
    assert len(set(kinds.tolist())) == 4
    assert contradicted.tolist() == [True, False, True, False, False]
    chain = np.zeros((3, 256), bool)
    chain[:, :100] = True
    chain[1, 100:160] = chain[2, 100:130] = True  # the last is like both, which are not alike
    kinds, _ = alike(chain, ["x", "y", "z"], np.array(["a"] * 3))
    assert len(set(kinds.tolist())) == 1


def test_slides_and_empty_viewers_are_not_alike_because_there_is_little_to_see():
    faces = np.zeros((160, 160, 3), np.uint8)
    rng = np.random.default_rng(0)
    shown = [empty_screen(rng, faces) for _ in range(80)]
    kinds, _ = alike(*known(shown), np.array(["nonmedical"] * len(shown)))
    assert len(set(kinds.tolist())) >= 78
    kinds, _ = alike(*known([*shown, *shown]), np.array(["nonmedical"] * 2 * len(shown)))
    assert kinds[:80].tolist() == kinds[80:].tolist()  # but each is its own copy, however empty


def test_one_class_is_nothing_to_tell_apart(tmp_path):
    tiny_frames.save(tmp_path / "pictures" / "nonmedical" / "a.png", tiny_frames.drawing(0, red=True))
    with pytest.raises(UsageError, match="one class only"):
        frame_labels.build(Store(str(tmp_path / "out")), *frame_labels.read([tmp_path / "pictures"]), 0.25)


def test_a_picture_that_is_cut_off_is_not_readable(tmp_path):
    whole = tiny_frames.save(tmp_path / "a.jpg", tiny_frames.drawing(0, red=True))
    assert read_picture(whole).any()
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
    with pytest.raises(UsageError, match="not a readable picture"):
        read_picture(whole)


def test_groups_join_where_pictures_are_of_a_kind():
    rows = [row("ct", "a"), row("ct", "b"), row("ct", "b"), row("ct", "c"), row("ct", "d")]
    made = grouped(rows, np.array([0, 0, 2, 2, 4]))
    assert [r.group for r in made] == ["a", "a", "a", "a", "d"]


def test_the_index_says_what_was_left_out_and_stays(tmp_path):
    root = tiny_frames.folder(tmp_path / "pictures", 4)
    (root / tiny_frames.RED / "broken.png").write_bytes(b"no picture")
    tiny_frames.save(root / tiny_frames.BLUE / "same.png", tiny_frames.drawing(0, red=True))
    store = Store(str(tmp_path / "out"))
    contents = frame_labels.build(store, *frame_labels.read([root]), 0.25)
    assert (contents.pictures, contents.left_out, contents.contradictions) == (9, {"unreadable": 1}, 2)
    assert any("another label" in line for line in contents.lines())
    rows = frame_labels.load(store.out)
    groups = {r.path.split("/")[-2] + r.path.split("/")[-1]: r.group for r in rows}
    assert groups[f"{tiny_frames.BLUE}same.png"] == groups[f"{tiny_frames.RED}0.png"]
    (root / tiny_frames.RED / "0.png").unlink()
    assert frame_labels.build(store, [], {}, 0.9) == contents


def test_labels_must_name_domains(tmp_path):
    root = tiny_frames.folder(tmp_path / "pictures", 2)
    (root / tiny_frames.BLUE).rename(root / "cats")
    with pytest.raises(UsageError, match="cats"):
        frame_labels.build(Store(str(tmp_path / "out")), *frame_labels.read([root]), 0.2)


def test_a_corrected_label_makes_another_run():
    rows = [row("ct", "a"), row("nonmedical", "b")]
    assert frame_labels.digest(rows) == frame_labels.digest(rows[::-1])
    assert frame_labels.digest(rows) != frame_labels.digest([rows[0], row("mri", "b")])
