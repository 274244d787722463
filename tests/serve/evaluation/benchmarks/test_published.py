"""Each published file format, in small: what its rows become, and that its traps are not fallen into."""

import pickle
from pathlib import Path

import pytest

from pipelines.errors import UsageError
from serve.evaluation.answer import Fault
from serve.evaluation.question import Kind, Medium
from tests.serve.evaluation.benchmarks.published import SURGERY, load, parquet, picture, put

SAMPLES = Path(__file__).resolve().parents[5] / "shared" / "assets" / "benchmarks"


ECHO = {"messages_id": "e1", "videos": ["mimic-iv-echo/0.1/files/p13/p13265185/s97751020/97751020_0026.mp4"],
        "question": "How is the aortic valve?", "option_A": "Normal", "option_B": "Mildly stenotic",
        "option_C": "Severely stenotic", "option_D": "Not seen", "correct_option": "C", "answer": "Severely stenotic",
        "structure": "Aortic valve", "view": "A3C"}  # fmt: skip


def test_surgery_video_qa_keeps_every_question_of_a_clip(tmp_path):
    rows = [SURGERY, SURGERY | {"id": "u2", "question": "Where?"}]
    put(tmp_path / "surgeryvideoqa.jsonl", rows)
    put(tmp_path / "clips" / SURGERY["video"], b"film")
    one, two = load("surgery-video-qa", tmp_path)
    assert (one.question_id, one.source_id, one.kind, one.answer) == ("u1", "YXAGt6GtFwE", Kind.OPEN, "Fat.")
    assert one.media == two.media
    assert (one.media[0].medium, one.media[0].read()) == (Medium.VIDEO, b"film")


def test_a_clip_that_was_not_cut_is_a_fault_of_its_question(tmp_path):
    put(tmp_path / "surgeryvideoqa.jsonl", [SURGERY])
    (question,) = load("SurgeryVideoQA", tmp_path)
    with pytest.raises(Fault, match="media_missing: there is no file for YXAGt6GtFwE_379_440.mp4"):
        question.media[0].read()


@pytest.mark.parametrize(
    "lies_at",
    [
        "MIMICEchoQA/0.1/files/p13/p13265185/s97751020/97751020_0026.mp4",
        "mimic-iv-echo/0.1/files/p13/p13265185/s97751020/97751020_0026.mp4",
        "0.1/files/p13/p13265185/s97751020/97751020_0026.mp4",
        "videos/97751020_0026.mp4",
    ],
)
@pytest.mark.parametrize("json_at", ["MIMICEchoQA.json", "MIMICEchoQA/MIMICEchoQA.json"])
def test_mimic_echo_qa_finds_its_films_where_they_lie(tmp_path, lies_at, json_at):
    put(tmp_path / json_at, [ECHO])
    put(tmp_path / lies_at, b"film")
    (question,) = load("MIMICEchoQA", tmp_path)
    assert question.media[0].read() == b"film"
    assert (question.question_id, question.source_id, question.group) == ("e1", "p13265185", "Aortic valve")
    assert (question.kind, question.answer) == (Kind.OPTIONS, "Severely stenotic")
    assert question.options == ("Normal", "Mildly stenotic", "Severely stenotic", "Not seen")


def test_a_path_never_leaves_the_benchmarks_folder(tmp_path):
    put(tmp_path / "secret.mp4", b"secret")
    put(tmp_path / "a/b/c/d/MIMICEchoQA.json", [ECHO | {"videos": ["mimic-iv-echo/../../../../../secret.mp4"]}])
    (question,) = load("MIMICEchoQA", tmp_path / "a/b/c/d")
    with pytest.raises(Fault):
        question.media[0].read()


def test_mimic_echo_qas_yes_and_no_are_words(tmp_path):
    options = {"option_A": "Yes", "option_B": "No", "option_C": "", "option_D": None}
    row = ECHO | options | {"correct_option": "B", "answer": "No"}
    (question,) = load("MIMICEchoQA", put(tmp_path / "MIMICEchoQA.json", [row]))
    assert (question.kind, question.options, question.answer) == (Kind.WORD, ("yes", "no"), "no")


@pytest.mark.parametrize(
    "change", [{"correct_option": "E"}, {"answer": "Normal"}, {"correct_option": ""}, {"option_C": None}]
)
def test_mimic_echo_qas_contradictions_are_refused(tmp_path, change):
    with pytest.raises(UsageError, match="Row 1"):
        load("MIMICEchoQA", put(tmp_path / "MIMICEchoQA.json", [ECHO | change]))


@pytest.mark.parametrize("right", ["None", "Mild"])
def test_none_is_a_grade_of_mimic_echo_qa(tmp_path, right):
    grades = ("None", "Mild", "Moderate", "Severe")
    options = {f"option_{letter}": grade for letter, grade in zip("ABCD", grades, strict=True)}
    row = ECHO | options | {"correct_option": "ABCD"[grades.index(right)], "answer": right}
    (question,) = load("MIMICEchoQA", put(tmp_path / "MIMICEchoQA.json", [row]))
    assert (question.options, question.answer) == (grades, right)


@pytest.mark.parametrize("filler", [("None", "None"), ("nan", "nan"), ("None", ""), ("nan", None)])
def test_what_fills_a_row_of_mimic_echo_qa_is_no_option(tmp_path, filler):
    options = {"option_A": "Yes", "option_B": "No", "option_C": filler[0], "option_D": filler[1]}
    row = ECHO | options | {"correct_option": "A", "answer": "Yes"}
    (question,) = load("MIMICEchoQA", put(tmp_path / "MIMICEchoQA.json", [row]))
    assert (question.kind, question.options, question.answer) == (Kind.WORD, ("yes", "no"), "yes")
    with pytest.raises(UsageError, match="the right option 'C'"):
        load("MIMICEchoQA", put(tmp_path / "MIMICEchoQA.json", [row | {"correct_option": "C", "answer": ""}]))


def test_vidrip_in_both_forms(tmp_path):
    put(tmp_path / "Test_Videos" / "case1.MP4", b"film")
    put(tmp_path / "ViDRiP_Test.json", [{"video_name": "case1", "question": "Diagnosis?", "answer": "The image shows ..."}])
    (question,) = load("vidrip", tmp_path)
    assert (question.question_id, question.source_id, question.media[0].read()) == ("ViDRiP_Test:0", "case1", b"film")
    talk = [{"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": "The image shows glands."},
            {"from": "human", "value": "And?"}, {"from": "gpt", "value": "Adenoma."}]  # fmt: skip
    put(tmp_path / "ViDRiP_Test.json", [{"id": "c7", "video": "case1.MP4", "conversations": talk}])
    first, second = load("ViDRiP", tmp_path)
    assert (first.question_id, first.text, second.question_id, second.answer) == ("c7", "Describe.", "c7:1", "Adenoma.")
    put(tmp_path / "ViDRiP_Test.json", [{"video": "case1", "conversations": talk[:3]}])
    with pytest.raises(UsageError, match="take turns"):
        load("ViDRiP", tmp_path)


def test_vqa_rad_takes_the_test_rows_and_numbers_as_answers(tmp_path):
    row = {"qid": 0, "image_name": "synpic1.jpg", "question": "Is it normal?", "answer": "No", "answer_type": "CLOSED ",
           "phrase_type": "test_freeform"}  # fmt: skip
    rows = [row, row | {"qid": 1, "answer": 4, "answer_type": "OPEN", "phrase_type": "test_para"},
            row | {"qid": 2, "phrase_type": "freeform"}]  # fmt: skip
    put(tmp_path / "VQA_RAD Dataset Public.json", rows)
    put(tmp_path / "VQA_RAD Image Folder" / "synpic1.jpg", picture())
    one, two = load("VQA-RAD", tmp_path)
    assert (one.question_id, one.kind, one.answer, one.group) == ("0", Kind.WORD, "no", "closed")
    assert (two.kind, two.answer, two.group) == (Kind.OPEN, "4", "open")
    assert one.media[0].read() == picture()
    assert one.source_id == two.source_id == "synpic1.jpg"


@pytest.mark.parametrize("name", ["VQA-RAD", "PathVQA"])
def test_hugging_faces_parquet_with_pictures_inside(tmp_path, name):
    rows = [{"image": {"bytes": picture(i // 2), "path": None}, "question": f"Q{i}?", "answer": "yes"} for i in range(5)]
    parquet(tmp_path / "data" / "test-00000-of-00001.parquet", rows)
    parquet(tmp_path / "data" / "train-00000-of-00001.parquet", rows)
    questions = load(name, tmp_path)
    assert [q.text for q in questions] == [f"Q{i}?" for i in range(5)]
    assert [q.media[0].read() for q in questions] == [picture(i // 2) for i in range(5)]
    assert len({q.source_id for q in questions}) == 3


def test_path_vqas_pickle_is_read_and_not_run(tmp_path):
    rows = [{"image": "test_0001", "question": "what is this?", "answer": "glands"}]
    put(tmp_path / "qas" / "test" / "test_qa.pkl", pickle.dumps(rows))
    put(tmp_path / "images" / "test" / "test_0001.jpg", picture())
    (question,) = load("PathVQA", tmp_path)
    assert (question.answer, question.media[0].read()) == ("glands", picture())

    class Evil:
        def __reduce__(self):
            return (Path(tmp_path / "ran").touch, ())

    put(tmp_path / "qas" / "test" / "test_qa.pkl", pickle.dumps([Evil()]))
    with pytest.raises(UsageError, match="wants to make"):
        load("PathVQA", tmp_path)
    assert not (tmp_path / "ran").exists()


def test_pictures_behind_the_users_own_links_are_found(tmp_path):
    row = {"img_name": "a.jpg", "question": "Is it?", "answer": "yes", "qid": 1}
    put(tmp_path / "slake" / "test.json", [row, row | {"img_name": "../far/a.jpg", "qid": 2}])
    put(tmp_path / "far" / "a.jpg", picture())
    (tmp_path / "slake" / "imgs").symlink_to(tmp_path / "far")
    linked, outside = load("SLAKE", tmp_path / "slake")
    assert linked.media[0].read() == picture()
    with pytest.raises(Fault, match="media_missing"):
        outside.media[0].read()


def test_slake_by_language(tmp_path):
    row = {"img_id": 1, "img_name": "xmlab1/source.jpg", "question": "Does it show a liver?", "answer": "Yes",
           "q_lang": "en", "answer_type": "CLOSED", "qid": 11}  # fmt: skip
    chinese = {"q_lang": "zh", "question": "?", "answer": "肝脏", "answer_type": "OPEN", "qid": 12}
    put(tmp_path / "test.json", [row, row | chinese])
    put(tmp_path / "imgs" / "xmlab1" / "source.jpg", picture())
    (question,) = load("SLAKE", tmp_path)
    assert (question.question_id, question.answer, question.source_id) == ("11", "yes", "xmlab1/source.jpg")
    assert question.media[0].read() == picture()
    assert [q.question_id for q in load("SLAKE", tmp_path, language="zh")] == ["12"]
    assert len(load("SLAKE", tmp_path, language="all")) == 2


def test_quilts_three_files_belong_together(tmp_path):
    name = "72cHFeWTTbM_roi_41.jpg"
    put(tmp_path / "quilt_gpt_questions.jsonl", [{"question_id": 0, "image": name, "text": "What?", "category": "conv"}])
    put(tmp_path / "quilt_gpt_answers.jsonl", [{"question_id": 0, "text": "Cannonballs."}])
    with pytest.raises(UsageError, match="captions"):
        load("Quilt", tmp_path)
    put(tmp_path / "quilt_gpt_captions.jsonl", [{"question_id": 0, "text": "Low power.", "type": "x"}])
    (question,) = load("Quilt", tmp_path)
    assert (question.answer, question.notes, question.group, question.source_id) == (
        "Cannonballs.", "Low power.", "conv", "72cHFeWTTbM",
    )  # fmt: skip
    root = tmp_path / "published"
    for kind, folder in (("questions", "playground/data/quilt_gpt"), ("captions", "playground/data/quilt_gpt"),
                         ("answers", "llava/eval/table")):  # fmt: skip
        put(root / folder / f"quilt_gpt_{kind}.jsonl", (tmp_path / f"quilt_gpt_{kind}.jsonl").read_bytes())
    assert load("Quilt", root)[0].answer == "Cannonballs."


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the benchmark samples (shared/assets/benchmarks) are not here")
def test_the_published_samples():
    surgery = load("SurgeryVideoQA", SAMPLES / "openbiomedvid")
    assert len(surgery) == 470
    assert len({q.source_id for q in surgery}) == 210
    articles = load("PubMedQA", SAMPLES / "pubmedqa")
    assert len(articles) == 60
    assert {q.answer for q in articles} <= {"yes", "no", "maybe"}
    assert all(q.context for q in articles)
