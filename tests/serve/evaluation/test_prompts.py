import json

from serve.evaluation.config import Settings
from serve.evaluation.prompts import LONG, prompt
from serve.evaluation.question import Kind, Question
from serve.evaluation.run import Evaluation, evaluate
from tests.serve.evaluation.benchmarks.test_published import ECHO, put
from tests.serve.evaluation.chat import serving, words


def question(kind, options=(), **more):
    answer = options[0] if options else "A cyst."
    return Question(question_id="q", source_id="s", text="What is it?", kind=kind, answer=answer, options=options, **more)


def test_the_options_are_in_the_words():
    asked = prompt(question(Kind.OPTIONS, ("Cyst", "Stone", "Abscess")))
    assert asked == "What is it?\n\nA. Cyst\nB. Stone\nC. Abscess\n\nAnswer with the letter of the right option."


def test_bare_words_are_named():
    assert prompt(question(Kind.WORD, ("yes", "no"))).endswith("Answer with yes or no only.")
    assert prompt(question(Kind.WORD, ("yes", "no", "maybe"))).endswith("Answer with yes, no or maybe only.")


def test_context_comes_first_and_the_judges_notes_never():
    asked = prompt(question(Kind.OPEN, context="Read this.", notes="A secret caption."), LONG)
    assert asked == f"Read this.\n\nWhat is it?\n\n{LONG}"


def test_options_reach_the_model_over_http(tmp_path):
    """Published: a misspelt benchmark name kept MIMICEchoQA's options from every model."""
    put(tmp_path / "MIMICEchoQA.json", [ECHO])
    put(tmp_path / "MIMICEchoQA" / ECHO["videos"][0].partition("/")[2], b"film")
    with serving(lambda r: "Severely stenotic") as server:
        evaluate(Evaluation(url=server.url, model="m", benchmark="MIMICEchoQA", data=tmp_path, out=tmp_path / "out",
                            settings=Settings(max_retries=0)))  # fmt: skip
    (request,) = server.seen
    assert "A. Normal\nB. Mildly stenotic\nC. Severely stenotic\nD. Not seen" in words(request)
    assert request["messages"][0]["content"][0]["type"] == "video_url"
    assert ECHO["answer"] in json.dumps(request)
