"""`preceptor instruct` on small datasets: exactly once, read by training and evaluation, by the same command again."""

import contextlib
import dataclasses
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from cluster import cli
from cluster.connect import cluster
from pipelines import instruct, instruct_file
from pipelines.audit import audit
from pipelines.errors import UsageError
from pipelines.instruct_config import FAMILIES, GENERATED, TEMPLATES, InstructConfig, from_curation
from pipelines.instruct_schema import Drop, Dropped
from pipelines.instruct_summary import print_summary, tally
from pipelines.instructed import Instructed
from pipelines.progress import Progress
from pipelines.recipes import hub, starter
from pipelines.schema import Choice, Reason, TextKind, Video
from pipelines.settings import with_settings
from serve.evaluation.benchmarks import catalog
from serve.evaluation.config import Settings
from serve.evaluation.question import Kind
from tests.actors.tutor import TEXT, tutor
from tests.pipelines import datasets
from tests.serve.evaluation.chat import serving
from train import sources
from train.samples import Sample

QUARTERS = {"upper left": (10, 10, 50, 40), "upper right": (100, 10, 150, 40), "lower left": (10, 80, 50, 110),
            "lower right": (100, 80, 150, 110)}  # fmt: skip


def lecture(name: str, number: int, attempt: int = 1) -> tuple[Video, list[datasets.Image]]:
    """A video with one clip that points at a lesion in one quarter, and at two things in another picture."""
    picture, second = datasets.picture(name, number), datasets.picture(name, number, (200, 150))
    clip = datasets.clip(name, 0.0, picture, TEXT)
    box = list(QUARTERS.values())[number % 4]
    other = datasets.shown_picture(second, 10.0)
    links = [
        datasets.link(1.0, f"This lesion of the liver is number {number}."),
        datasets.link(4.0, "A cyst of the kidney.", episode=1, picture=1),
        datasets.link(7.0, TEXT, TextKind.MEDICAL, None),
    ]
    clip = dataclasses.replace(
        clip, corrected_text=TEXT, pictures=(*clip.pictures, other),
        episodes=(datasets.episode(1.0, box=box), datasets.episode(4.0, picture=1)), links=tuple(links),
        modality=Choice(value="CT" if number % 2 else "MRI", decided_by="rules"), relevant=None,
    )  # fmt: skip
    return datasets.ok(name, [picture, second], [clip], attempt), [picture, second]


def build(out: Path, numbers: range) -> str:
    made = [lecture(f"v{n}", n) for n in numbers]
    rejected = datasets.ended("talk", Reason.NOT_MEDICAL, "classify")
    return datasets.build(out, [[v for v, _ in made], [rejected]], [p for _, shown in made for p in shown])


def never(_: object) -> contextlib.AbstractContextManager[None]:
    raise AssertionError("there is nothing to compute")


def run(out: str, config: InstructConfig, connect: object = contextlib.nullcontext) -> instruct.Outcome:
    progress = Progress(Console(file=io.StringIO()))
    return instruct.run(out, config, connect=lambda _: connect(), progress=progress)  # type: ignore[operator]


def files(out: str) -> dict[str, tuple[int, bytes]]:
    return {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(Path(out, "instruct").glob("*.parquet"))}


@pytest.fixture(scope="module")
def ray_here():
    with cluster():
        yield


@pytest.mark.cluster
def test_each_video_once_what_failed_again_and_what_is_new(tmp_path, ray_here):
    out = build(tmp_path / "out", range(8))
    config = from_curation(starter())
    blocked = Path(out, "instruct", "dropped", "v7.parquet")
    blocked.mkdir(parents=True)  # nothing can be written there
    outcome = run(out, config)
    ((video_id, why),) = outcome.failed
    assert (outcome.videos, outcome.done_before, video_id, why.startswith("stage_error")) == (8, 0, "v7", True)
    blocked.rmdir()
    first = files(out)
    assert set(first) == {f"v{n}.parquet" for n in range(7)}
    assert {source for _, source in tally(out)} == {"template"}

    newer, newer_pictures = lecture("v0", 3, attempt=2)
    ninth, ninth_pictures = lecture("v8", 8)
    rows = [*(lecture(f"v{n}", n)[0] for n in range(8)), newer, ninth]
    datasets.write_manifest(Path(out), [*rows, datasets.ended("talk", Reason.NOT_MEDICAL, "classify")])
    datasets.write_rows(Path(out), "later", [newer, ninth])
    datasets.write_images(Path(out), "v0", newer_pictures)
    datasets.write_images(Path(out), "v8", ninth_pictures)
    assert any("no longer the newest" in p for p in audit(out).broken_turns)
    assert run(out, config) == instruct.Outcome(videos=9, done_before=6, failed=())
    second = files(out)
    assert {n: second[n] for n in first if n != "v0.parquet"} == {n: first[n] for n in first if n != "v0.parquet"}
    assert set(second) - set(first) == {"v7.parquet", "v8.parquet"}
    assert "number 3" in " ".join(t.answer for t in Instructed(out).of("v0"))
    assert audit(out).problems == ()
    made = tally(out)
    assert sum(line.made for line in made.values()) == sum(n for _, n in instruct_file.committed(out).values())
    assert run(out, config, lambda: never(0)) == instruct.Outcome(videos=9, done_before=9, failed=())


@pytest.mark.cluster
def test_a_model_behind_an_address(tmp_path, ray_here):
    out = build(tmp_path / "out", range(2))
    with serving(tutor()) as server:
        text = {"text.engine": "openai", "text.model": "tutor", "text.base_url": server.url}
        config = with_settings(from_curation(starter()), [f"{k}={v}" for k, v in text.items()])
        assert run(out, config).failed == ()
    kept = {family for (family, source), line in tally(out).items() if source == "model" and line.kept}
    assert kept == {"qa_open", "qa_choice", "description", "conversation", "detail", "reasoning", "iterative"}
    assert audit(out).problems == ()
    with serving(tutor()) as elsewhere:  # another address of the same model changes no row
        run(out, with_settings(config, [f"text.base_url={elsewhere.url}"]), lambda: never(0))


def written(out: Path) -> str:
    """A dataset of eight videos and a turn of each kind for every one, written without Ray."""
    folder = build(out, range(8))
    for n in range(8):
        video = lecture(f"v{n}", n)[0]
        about = (video.video_id, video.clips[0].clip_id, 0)
        place = datasets.turn(*about, "Where?", "lower left", family="place_open")
        rows = [
            datasets.turn(*about, "Which?", "b", ("a", "b"), family="qa_choice"),
            dataclasses.replace(place, picture_only=True),
        ]
        dropped = Dropped(video_id=video.video_id, clip_id=rows[0].clip_id, question_id=f"{rows[0].clip_id}/x/0", family="x",
                          source="template", prompt="p@1", reason=Drop.BALANCE)  # fmt: skip
        instruct_file.write(folder, video.row_id, video.video_id, rows, [dropped])
    return folder


def test_what_is_written_is_read_by_training_and_evaluation(tmp_path, monkeypatch):
    out = written(tmp_path / "out")
    assert [t.question for t in Instructed(out).of("v3")] == ["Where?", "Which?"]
    samples = [s for s in sources.curated(out, 0.0) if isinstance(s, Sample)]
    asked = [s.turns[0].parts[-1] for s in samples if "/qa" in s.sample_id]
    assert sorted(asked) == sorted(["Where?", "Which?\n\nA. a\nB. b\n\nAnswer with the letter of the right option."] * 8)
    questions = catalog.questions(*catalog.find(out, None), Settings(held_out_share=1.0))
    groups = {(q.group, q.kind) for q in questions}
    assert groups >= {("qa_choice", Kind.OPTIONS), ("place_open", Kind.OPEN)}
    assert {q.labelled_by for q in questions if q.group == "qa_choice"} == {"model, m"}


def test_turns_about_the_picture_are_not_asked_of_the_film(tmp_path, monkeypatch):
    out = written(tmp_path / "out")
    monkeypatch.setattr(sources, "_film", lambda video, clip: dataclasses.replace(
        sources.Media(kind="video", uri=video.uri, width=64, height=64), end_s=1.0))  # fmt: skip
    samples = [s for s in sources.curated(out, 0.0) if isinstance(s, Sample) and "/qa" in s.sample_id]
    asked = {(s.kind, s.turns[0].parts[-1][:5]) for s in samples}
    assert asked == {("image", "Where"), ("image", "Which"), ("video", "Which")}


def test_the_summary_adds_up_and_names_every_reason(tmp_path, capsys):
    out = written(tmp_path / "out")
    lines = tally(out)
    assert {key: (line.made, line.kept) for key, line in lines.items()} == {
        ("place_open", "model"): (8, 8), ("qa_choice", "model"): (8, 8), ("x", "template"): (8, 0),
    }  # fmt: skip
    outcome = instruct.Outcome(videos=9, done_before=8, failed=(("v9", "stage_error: x"),))
    print_summary(out, from_curation(starter()), outcome)
    said = capsys.readouterr().out
    assert [line.split() for line in said.splitlines() if line.startswith("all")] == [["all", "24", "16", "8", "balance"]]
    assert "8 of 9 videos have their turns" in said
    assert "FAILED v9: stage_error: x" in said


def test_the_command_says_what_is_there_without_computing(tmp_path, monkeypatch, capsys):
    out = written(tmp_path / "out")
    monkeypatch.setattr("cluster.connect.cluster", never)
    monkeypatch.setattr("cluster.connect.set_environment", lambda: None)  # this process has other tests' Ray
    monkeypatch.setattr("sys.argv", ["preceptor", "instruct", out])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().out
    assert not ended.value.code
    assert "8 of 8 videos have their turns, 8 of them from before" in said


def test_a_persons_file_is_left_alone(tmp_path):
    out = written(tmp_path / "out")
    theirs = datasets.turn("v1", lecture("v1", 1)[0].clips[0].clip_id, 0, "Mine?", "Yes.", family="mine")
    datasets.write_turns(Path(out), [theirs], "by_hand")
    assert "by_hand.parquet" not in instruct_file.committed(out)
    assert theirs in Instructed(out).of("v1")
    assert audit(out).problems == ()


def test_the_audit_finds_what_is_wrong_with_turns(tmp_path):
    out = written(tmp_path / "out")
    assert audit(out).turns == 16
    stranger = datasets.turn("nobody", "nobody:0", 0, "Who?", "I.")
    other_clip = datasets.turn("v1", "v1:nowhere", 0, "Where?", "There.")
    twice = dataclasses.replace(Instructed(out).of("v2")[0], family="again")
    datasets.write_turns(Path(out), [stranger, other_clip, twice], "by_hand")
    Path(out, "instruct", "dropped", "v3.parquet").unlink()
    said = audit(out).broken_turns
    assert [any(words in s for s in said) for words in (
        "turns about nobody, which has no row", "is about v1:nowhere", "is the id of two turns",
        "v3: 3 turns were made, but not as many",
    )] == [True] * 4  # fmt: skip
    assert len(said) == 4


def test_a_video_that_is_no_longer_accepted_loses_its_turns(tmp_path):
    out = written(tmp_path / "out")
    failed = datasets.ended("v2", Reason.MISSING, "screen", attempt=2)
    rows = [*(lecture(f"v{n}", n)[0] for n in range(8)), failed, datasets.ended("talk", Reason.NOT_MEDICAL, "classify")]
    datasets.write_manifest(Path(out), rows)
    datasets.write_rows(Path(out), "later", [failed])
    assert any("is about" in s for s in audit(out).broken_turns)
    run(out, from_curation(starter()), lambda: never(0))
    assert "v2.parquet" not in files(out)
    assert not Path(out, "instruct", "dropped", "v2.parquet").exists()
    assert audit(out).problems == ()


def test_another_configuration_stops_before_any_work(tmp_path):
    out = written(tmp_path / "out")
    config = from_curation(starter())
    run(out, config, lambda: never(0))
    run(out, with_settings(config, ["resources.instruct.max_size=2"]), lambda: never(0))
    with pytest.raises(UsageError, match=r"seed: 0 there, 5 here\); to begin anew, remove .*instruct"):
        run(out, with_settings(config, ["seed=5"]), lambda: never(0))


def test_the_configuration_is_the_datasets_own(tmp_path):
    assert from_curation(hub()).text == hub().text
    assert from_curation(hub()).resources.instruct == hub().resources.write
    assert from_curation(starter()).families == FAMILIES == TEMPLATES + GENERATED
    saved = json.loads(Path(written(tmp_path / "out"), "config.json").read_text())["config"]
    assert saved["recipe"] == "starter"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["NOWHERE"], "is not a dataset"),
        (["OUT", "--recipe", "none"], "no recipe 'none'"),
        (["OUT", "--set", "families=poems"], "families must be"),
        (["OUT", "--set", "families="], "families must name"),
        (["OUT", "--set", "gate.min_quality=6"], "gate.min_quality"),
        (["OUT", "--set", "a.b=1"], "preceptor instruct settings"),
        (["SCREENED"], "only the screen's verdicts"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_status_2(tmp_path, words, sentence, monkeypatch, capsys):
    build(tmp_path / "OUT", range(1))
    screened = tmp_path / "SCREENED"
    build(screened, range(1))
    body = json.loads((screened / "config.json").read_text())
    (screened / "config.json").write_text(json.dumps(body | {"settings": {"pass": "screen"}}))
    monkeypatch.setattr("sys.argv", ["preceptor", "instruct", *(str(tmp_path / w) if w.isupper() else w for w in words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert sentence in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert not (tmp_path / "OUT" / "instruct").exists()


def test_ids_that_are_paths_stay_in_the_folder(tmp_path):
    instruct_file.write(str(tmp_path), "../v#1", "../v", [], [])
    assert instruct_file.committed(str(tmp_path)) == {"..%2Fv.parquet": ("../v#1", 0)}
    assert pq.read_table(tmp_path / "instruct" / "..%2Fv.parquet").num_rows == 0
    assert Instructed(str(tmp_path)).of("../v") == []
