"""The page of disagreements: which come first, and that strangers' words stay words."""

import re

import numpy as np

from pipelines.store import Store
from tests.train import tiny_frames
from train import disagreements
from train.frame_labels import HELD_OUT, LEARNED, Labelled

LABELS = ("ct", "nonmedical")


def rows(tmp_path):
    files = [tiny_frames.save(tmp_path / name, tiny_frames.drawing(i, red=True)) for i, name in
             enumerate(["a.png", "b.png", "<img src=x onerror=alert(1)>.png", "d.png"])]  # fmt: skip
    parts = (LEARNED, LEARNED, HELD_OUT, LEARNED)
    return [Labelled(path=str(f), label="ct", group="talk <b>", part=p) for f, p in zip(files, parts, strict=True)]


PROBABILITIES = np.array([[0.9, 0.1], [0.45, 0.55], [0.02, 0.98], [0.3, 0.7]])


def test_the_surest_come_first(tmp_path):
    found = disagreements.found(rows(tmp_path), LABELS, PROBABILITIES)
    assert [round(d.answer_probability, 2) for d in found] == [0.98, 0.7, 0.55]
    assert found[0].held_out
    assert (found[0].answer, found[0].row.label, found[0].label_probability) == ("nonmedical", "ct", 0.02)


def test_the_page_stands_alone_and_escapes(tmp_path, monkeypatch):
    monkeypatch.setattr(disagreements, "MAX_SHOWN", 2)
    disagreements.write(Store(str(tmp_path / "out")), rows(tmp_path), LABELS, PROBABILITIES)
    page = (tmp_path / "out" / "disagreements.html").read_text()
    assert page.count("<figure>") == 2
    assert "3 of 4 pictures; the 2 surest are shown" in page
    assert "98.0 %" in page
    assert "2.0 %" in page
    assert "held out: the model never saw it" in page
    assert "ct</span> → <span class=\"model\">nonmedical</span>: 3" in page
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;.png" in page
    assert "talk <b>" not in page
    assert all(s.startswith("data:image/jpeg;base64,") for s in re.findall(r'src="([^"]*)"', page))
    assert "http" not in page.replace("http-equiv", "")


def test_nothing_to_show_is_said(tmp_path):
    disagreements.write(Store(str(tmp_path / "out")), rows(tmp_path)[:1], LABELS, PROBABILITIES[:1])
    assert "0 of 1 pictures" in (tmp_path / "out" / "disagreements.html").read_text()
