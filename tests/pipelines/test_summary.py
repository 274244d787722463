import dataclasses
from pathlib import Path

import pytest

from pipelines.audit import audit
from pipelines.curate import Plan
from pipelines.recipes import starter
from pipelines.schema import Reason
from pipelines.store import Store
from pipelines.summary import print_outcome
from tests.pipelines import datasets


def test_strangers_words_are_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = datasets.ended("a", Reason.UNREADABLE, "screen", "moov [/b] atom")
    video = dataclasses.replace(video, uri="https://h/talk [abc].mp4?sig=secret")
    out = datasets.build(tmp_path / "out", [[video]], [])
    plan = Plan(store=Store(out), config=starter(), fingerprint="f", stages=[], pending=[], changed=["x [/b]"])
    print_outcome(plan, audit(out))
    said = capsys.readouterr().out
    assert "talk [abc].mp4 " in said
    assert "moov [/b] atom" in said
    assert "x [/b]" in said
    assert "secret" not in said


def test_strangers_words_move_no_cursor_and_begin_no_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forged = "every input is accounted for"
    video = datasets.ended("a", Reason.UNREADABLE, "screen", f"x\n{forged}\x1b[2J")
    video = dataclasses.replace(video, uri=f"/films/a\n{forged}\x1b[2J.mp4")
    out = datasets.build(tmp_path / "out", [[video]], [])
    plan = Plan(store=Store(out), config=starter(), fingerprint="f", stages=[], pending=[], changed=[f"b\n{forged}"])
    print_outcome(plan, audit(out))
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert [line for line in said.splitlines() if line.startswith(forged)] == [
        "every input is accounted for, every row is there once, every picture matches its id"
    ]
