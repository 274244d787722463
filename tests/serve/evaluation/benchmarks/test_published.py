"""Each published file format, in small: what its rows become, and that its traps are not fallen into."""

import io
import json
import pickle
from pathlib import Path

import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import UsageError
from serve.evaluation.answer import Fault
from serve.evaluation.benchmarks import catalog
from serve.evaluation.config import Settings
from serve.evaluation.question import Kind, Medium

SAMPLES = Path(__file__).resolve().parents[5] / "shared" / "assets" / "benchmarks"


def load(name, data, **settings):
    return catalog.questions(*catalog.find(name, data), Settings(**settings))


def picture(grey=90):
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (8, 8), (grey, grey, grey)).save(buffer, "PNG")
    return buffer.getvalue()


def put(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(r) for r in content) + "\n")
    else:
        path.write_text(json.dumps(content))
    return path


def parquet(path: Path, rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
    return path


SURGERY = {"id": "u1", "video_id": "YXAGt6GtFwE", "video_url": "https://x", "video": "YXAGt6GtFwE_379_440.mp4",
           "timestamp": [379.0, 440.0], "question": "What was removed?", "answer": "Fat."}  # fmt: skip
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


def test_vidrip_in_both_forms(tmp_path):
    put(tmp_path / "Test_Videos" / "case1.MP4", b"film")
    put(tmp_path / "ViDRiP_Test.json", [{"video_name": "case1", "question": "Diagnosis?", "answer": "The image shows ..."}])
    (question,) = load("vidrip", tmp_path)
    assert (question.question_id, question.source_id, question.media[0].read()) == ("0", "case1", b"film")
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


def test_med_qa_with_four_and_with_five_options(tmp_path):
    row = {"question": "Which?", "answer": "Nitrofurantoin", "answer_idx": "D", "meta_info": "step2&3",
           "options": {"A": "Ampicillin", "B": "Ceftriaxone", "C": "Doxycycline", "D": "Nitrofurantoin"}}  # fmt: skip
    (question,) = load("MedQA", put(tmp_path / "phrases_no_exclude_test.jsonl", [row]))
    assert (question.kind, question.options[3], question.answer) == (Kind.OPTIONS, "Nitrofurantoin", "Nitrofurantoin")
    assert question.media == ()
    five = row | {"options": row["options"] | {"E": "None"}}
    assert len(load("MedQA", put(tmp_path / "US" / "test.jsonl", [five]))[0].options) == 5
    for wrong in ({"answer_idx": "E"}, {"answer": "Ampicillin"}):
        with pytest.raises(UsageError, match="Row 1"):
            load("MedQA", put(tmp_path / "test.jsonl", [row | wrong]))


def test_pub_med_qa_with_its_contexts_and_maybe(tmp_path):
    article = {"QUESTION": "Is it?", "CONTEXTS": ["Aim.", "Result."], "final_decision": "maybe", "LONG_ANSWER": "It may."}
    (question,) = load("PubMedQA", put(tmp_path / "ori_pqal.json", {"123": article}))
    assert (question.question_id, question.context, question.answer) == ("123", "Aim.\nResult.", "maybe")
    assert question.options == ("yes", "no", "maybe")
    put(tmp_path / "test_set.json", {"123": {k: v for k, v in article.items() if k != "final_decision"}})
    with pytest.raises(UsageError, match="no decision"):
        load("PubMedQA", tmp_path)
    put(tmp_path / "test_ground_truth.json", {"123": "no"})
    assert load("PubMedQA", tmp_path)[0].answer == "no"
    put(tmp_path / "test_set.json", {"123": article})
    with pytest.raises(UsageError, match="the decisions"):
        load("PubMedQA", tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.jsonl", b"", "no question"),
        ("a.jsonl", b'{"id": 1', "cannot be read"),
        ("a.jsonl", b"[1, 2]\n", "no list of rows"),
        ("a.json", b'{"a": 1}', "no list of rows"),
        ("a.parquet", b"PAR1", "cannot be read"),
        ("a.txt", b"x", "none of"),
        ("a.jsonl", b"\xff\xfe\x00", "cannot be read"),
        ("a.jsonl", json.dumps(SURGERY | {"answer": " "}).encode(), "has no 'answer'"),
        ("a.jsonl", json.dumps({k: v for k, v in SURGERY.items() if k != "video"}).encode(), "has no 'video'"),
        ("a.jsonl", (json.dumps(SURGERY) + "\n" + json.dumps(SURGERY)).encode(), "Two questions"),
    ],
)
def test_files_that_are_not_of_the_form_are_refused_with_a_sentence(tmp_path, name, content, sentence):
    with pytest.raises(UsageError, match=sentence):
        load("SurgeryVideoQA", put(tmp_path / name, content))


def test_names_are_found_however_they_are_written_and_others_are_refused(tmp_path):
    for name in catalog.NAMES:
        assert catalog.find(name.upper().replace("-", "_"), tmp_path)[0].name == name
        with pytest.raises(UsageError, match="--data"):
            catalog.find(name, None)
    with pytest.raises(UsageError, match="There is no benchmark"):
        catalog.find("MedMCQA", tmp_path)
    with pytest.raises(UsageError, match="There is no"):
        load("MedQA", tmp_path / "nowhere")
    with pytest.raises(UsageError, match="holds none of"):
        load("MedQA", tmp_path)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the benchmark samples (shared/assets/benchmarks) are not here")
def test_the_published_samples():
    surgery = load("SurgeryVideoQA", SAMPLES / "openbiomedvid")
    assert len(surgery) == 470
    assert len({q.source_id for q in surgery}) == 210
    articles = load("PubMedQA", SAMPLES / "pubmedqa")
    assert len(articles) == 60
    assert {q.answer for q in articles} <= {"yes", "no", "maybe"}
    assert all(q.context for q in articles)
