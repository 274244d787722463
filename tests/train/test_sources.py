"""Datasets and conversation files to documents: what is learned, what is left out and why, and what an index keeps."""

import dataclasses
import json

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest

from pipelines.errors import RowError, UsageError
from pipelines.schema import Choice
from pipelines.split import is_held_out
from pipelines.store import Store
from serve.evaluation.benchmarks import catalog
from serve.evaluation.config import Settings
from tests.media import write_video
from tests.pipelines import datasets
from tests.train import tiny
from train import index, sources
from train.chat import labels
from train.config import DataSettings, VisionSettings
from train.media import film, film_length_and_size, picture
from train.samples import LeftOut, Media, Sample, conversation
from train.starter_vlm import starter_vlm


@pytest.fixture(scope="module")
def encode():
    return tiny.encoder(str(starter_vlm()))


def by_id(found):
    return {s.sample_id: s for s in found}


def dataset_with_film(out):
    """One video that is there, with a captioned, an uncaptioned and an irrelevant clip, and questions."""
    path = write_video(out.parent / "talk.mp4", seconds=70)
    shown = [datasets.picture("talk", i) for i in range(3)]
    clips = [datasets.clip("talk", 20.0 * i, p, f"Lesion {i} is seen.") for i, p in enumerate(shown)]
    clips[1] = dataclasses.replace(clips[1], caption=dataclasses.replace(clips[1].caption, text=None, failure="length"))
    clips[2] = dataclasses.replace(clips[2], relevant=Choice(value="irrelevant", decided_by="rules"))
    video = dataclasses.replace(datasets.ok("talk", shown, clips), uri=str(path))
    video = dataclasses.replace(video, probe=dataclasses.replace(video.probe, width=160, height=120))
    datasets.build(out, [[video]], shown)
    turns = [("Where?", "Left.", ()), ("What?", "A lesion.", ("A cyst.", "A lesion."))]
    rows = [datasets.turn("talk", clips[1].clip_id, n, q, a, o) for n, (q, a, o) in enumerate(turns)]
    datasets.write_turns(out, rows[::-1])
    return str(out), clips


def test_clips_become_conversations_about_picture_and_film(tmp_path, encode):
    out, clips = dataset_with_film(tmp_path / "out")
    found = by_id(sources.curated(out, 0.0))
    first, second, third = (c.clip_id for c in clips)
    assert set(found) == {f"{first}/image/caption", f"{first}/video/caption", f"{second}/image/qa0", f"{second}/video/qa0",
                          second, third}  # fmt: skip
    assert (found[second].reason, found[second].detail) == ("no_caption", "length")
    assert (found[third].reason, found[third].detail) == ("irrelevant", "decided by rules")
    assert {i.rsplit("/", 1)[1]: s.task for i, s in found.items() if isinstance(s, Sample)} == {
        "caption": "caption", "qa0": "question"}  # fmt: skip
    captioned = found[f"{first}/image/caption"]
    assert captioned.turns[1].parts == ("Lesion 0 is seen.",)
    assert picture(captioned.media[0]).size == (160, 120)
    asked = found[f"{second}/video/qa0"]
    assert [t.role for t in asked.turns] == ["user", "assistant"] * 2
    assert asked.turns[0].parts == (None, "Where?")
    lettered = "What?\n\nA. A cyst.\nB. A lesion.\n\nAnswer with the letter of the right option."
    assert [t.parts for t in asked.turns[2:]] == [(lettered,), ("B. A lesion.",)]
    document = encode(asked)
    assert document.media[0].frames == 8  # vision.max_frames of the tests
    assert film(document.media[0], tiny.VISION).shape == (8, document.media[0].height, document.media[0].width, 3)


def test_template_turns_are_learned_one_by_one_as_they_are_asked(tmp_path):
    shown = datasets.picture("v", 0)
    clip = datasets.clip("v", 0.0, shown)
    datasets.build(tmp_path / "out", [[datasets.ok("v", [shown], [clip])]], [shown])
    turns = [datasets.turn("v", clip.clip_id, n, f"What is in quarter {n}?", "A lesion.") for n in range(2)]
    datasets.write_turns(tmp_path / "out", [dataclasses.replace(t, source="template") for t in turns])
    found = [s for s in sources.curated(str(tmp_path / "out"), 0.0) if isinstance(s, Sample) and "/qa" in s.sample_id]
    assert [(s.sample_id.rsplit("/", 1)[1], len(s.turns)) for s in found] == [("qa0", 2), ("qa1", 2)]


def test_pictures_of_a_dataset_at_an_address_are_found(tmp_path):
    shown = [datasets.picture("a/b %2F", 1)]
    out = datasets.build(tmp_path / "out", [[datasets.ok("a/b %2F", shown)]], shown)
    (found,) = (f for f in sources.curated(f"file://{out}", 0.0) if isinstance(f, Sample))
    assert picture(found.media[0]).size == (160, 120)


def test_videos_that_evaluation_asks_about_are_never_learned_from(tmp_path):
    out = tiny.curated(tmp_path / "out", videos=12, clips=1)
    share = DataSettings().held_out_share
    assert share == Settings().held_out_share
    held = {f"v{i}" for i in range(12) if is_held_out(f"v{i}", share)}
    assert 0 < len(held) < 12
    found = list(sources.samples(sources.Source(name="x", uri=out), share))
    assert {f.sample_id for f in found if isinstance(f, LeftOut) and f.reason == "held_out"} == held
    assert {f.sample_id.split(":")[0] for f in found if isinstance(f, Sample)} == {f"v{i}" for i in range(12)} - held
    questions = catalog.questions(*catalog.find(out, None), Settings())
    assert {q.source_id for q in questions} == held


def test_only_the_assistant_is_learned(encode):
    sample = conversation("s", None, (("What is it?", "A lesion."), ("Where?", "On the left.")))
    document = encode(sample)
    tokenizer = encode._processor.tokenizer
    wanted = labels(np.array(document.tokens), encode.marks)
    assert tokenizer.decode(wanted[wanted >= 0]) == "A lesion.<|im_end|>On the left.<|im_end|>"
    assert document.targets == (wanted >= 0).sum()


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ((("q", "a<|im_end|>b"),), "reserved_token"),
        ((("<|image_pad|>", "a"),), "reserved_token"),
        ((("q", "  "),), "empty_answer"),
        ((), "no_answer"),
        ((("q", "word " * 600),), "too_long"),
    ],
)
def test_what_cannot_be_learned_is_left_out_with_its_reason(encode, turns, reason):
    found = encode(conversation("s", None, turns))
    assert isinstance(found, LeftOut)
    assert found.reason == reason


def test_llava_files(tmp_path, encode):
    PIL.Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(tmp_path / "a.png")
    write_video(tmp_path / "v.mp4", seconds=4)
    (tmp_path / "broken.png").write_bytes(b"not a picture")

    def said(text, answer="Yes."):
        return [{"from": "human", "value": text}, {"from": "gpt", "value": answer}]

    items = [
        {"id": "one", "image": "a.png", "conversations": said("<image>\nIs it?")},
        {"id": "two", "image": ["a.png", "a.png"], "conversations": said("Compare <image> with <image>.")},
        {"id": "film", "video": "v.mp4", "conversations": said("<video>\nWhat?")},
        {"id": "marked", "video": "v.mp4", "conversations": said("<image>\nWhat?")},
        {"id": "unmarked", "image": "a.png", "conversations": said("Is it?")},
        {"id": "text", "conversations": said("Is it?")},
        {"id": "gone", "image": "nowhere.png", "conversations": said("<image>")},
        {"id": "broken", "image": "broken.png", "conversations": said("<image>")},
        {"id": "many", "image": "a.png", "conversations": said("<image><image>")},
        {"id": "role", "conversations": [{"from": "robot", "value": "x"}]},
        {"id": "none"},
        {"id": "both", "image": "a.png", "video": "v.mp4",
         "conversations": said("First <video> then <image>.", "\n\nYes. ")},
        {"id": "cut", "video": "v.mp4", "timestamp": [1, 3], "conversations": said("<video>")},
        {"id": "late", "video": "v.mp4", "timestamp": [1, 100], "conversations": said("<video>")},
        {"id": "clock", "video": "v.mp4", "timestamp": ["00:01", "00:03"], "conversations": said("<video>")},
    ]
    (tmp_path / "f.json").write_text(json.dumps(items))
    (tmp_path / "f.jsonl").write_text("\n".join(json.dumps(i) for i in items))
    found = list(sources.conversations(str(tmp_path / "f.json")))
    assert list(sources.conversations(str(tmp_path / "f.jsonl"))) == found
    kinds = {s.sample_id.split("#")[0]: s.kind if isinstance(s, Sample) else s.reason for s in found}
    assert kinds == {"one": "image", "two": "image", "film": "video", "marked": "video", "unmarked": "image", "text": "text",
                     "gone": "missing", "broken": "unreadable", "many": "malformed", "role": "malformed",
                     "none": "malformed", "both": "video", "cut": "video", "late": "malformed",
                     "clock": "malformed"}  # fmt: skip
    both, cut = (next(s for s in found if s.sample_id.startswith(name)) for name in ("both", "cut"))
    assert [m.kind for m in both.media] == ["video", "image"]  # as the words place them
    assert both.turns[1].parts == ("Yes.",)
    assert not isinstance(encode(both), LeftOut)
    assert (cut.media[0].start_s, cut.media[0].end_s) == (1.0, 3.0)
    two = encode(found[1])
    text = encode._processor.tokenizer.decode(two.tokens)
    assert "Compare<|vision_start|><|image_pad|><|vision_end|>with<|vision_start|>" in text
    unmarked = encode._processor.tokenizer.decode(encode(found[4]).tokens)
    assert "<|vision_end|>Is it?" in unmarked


def test_a_file_that_is_no_json_is_said_so(tmp_path):
    (tmp_path / "f.json").write_text('[{"id": 1}, {')
    with pytest.raises(UsageError, match="not well-formed"):
        list(sources.conversations(str(tmp_path / "f.json")))
    with pytest.raises(UsageError, match="neither"):
        sources.samples(sources.Source(name="x", uri=str(tmp_path)), 0.2)


def test_a_film_shows_what_a_player_shows(tmp_path):
    """The level of the left half is the second, times ten."""
    path = write_video(tmp_path / "v.mp4", seconds=12, audio_start_s=0.0)
    media = Media(kind="video", uri=str(path), start_s=3.0, end_s=9.0, width=56, height=56, frames=6)
    levels = film(media, VisionSettings())[:, 28, 10, 0]
    assert np.allclose(levels, [30, 40, 50, 60, 70, 80], atol=4)
    assert film_length_and_size(str(path))[1:] == (160, 120)
    beyond = dataclasses.replace(media, start_s=9.0, end_s=29.0, frames=20)
    with pytest.raises(RowError, match=r"ends at 11\.\d s"):
        film(beyond, VisionSettings())


def test_the_index_keeps_every_row_and_counts_the_rest(tmp_path, encode):
    count = index.BATCH_ROWS + 30
    found = [conversation(f"s{i}", None, ((f"What is {i}?", "word " * (1 + i % 5)),)) for i in range(count)]
    found.insert(3, LeftOut(sample_id="bad", reason="unreadable"))
    found.append(conversation("reserved", None, (("<|im_end|>", "x"),)))
    store = Store(str(tmp_path))
    contents = index.build(store, [("talks", iter(found))], encode)
    (stream,) = contents.streams
    assert (stream.samples, stream.kind) == (count, "text")
    assert contents.left_out == {"talks": {"unreadable": 1, "reserved_token": 1}}
    reader = index.Reader(index.local_folder(str(tmp_path)), contents.streams)
    for row in (0, 3, index.BATCH_ROWS - 1, index.BATCH_ROWS, count - 1):
        document = reader.document(0, row)
        assert document.sample_id == f"s{row}"
        assert (reader.length(0, row), reader.targets(0, row)) == (document.length, document.targets)
    listed = pq.read_table(tmp_path / "index" / "left_out.parquet").to_pylist()
    assert {(r["sample_id"], r["reason"], r["source"]) for r in listed} == {
        ("bad", "unreadable", "talks"), ("reserved", "reserved_token", "talks")}  # fmt: skip
    assert index.build(store, [("talks", iter([]))], encode) == contents  # what it began with


def test_nothing_to_learn_from_says_why(tmp_path, encode):
    with pytest.raises(UsageError, match="left out 1 unreadable"):
        index.build(Store(str(tmp_path)), [("talks", iter([LeftOut(sample_id="x", reason="unreadable")]))], encode)
    assert not (tmp_path / "index").exists()
