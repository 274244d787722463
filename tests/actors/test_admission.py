import json
from collections import Counter

import pytest

from actors.admission import CHOICES, admission_key, admit, decision_request, examine, probe_items
from actors.text_engine import Reply


class Oracle:
    """Knows the labels, and answers `wrong` items of each task with a failure or another choice."""

    name = "oracle@1"
    dead = False

    def __init__(self, wrong=0):
        self.wrong, self.calls = wrong, 0
        self.labels = {decision_request(i.task, i.text): i for i in probe_items()}

    def generate(self, requests):
        self.calls += 1
        seen = Counter()
        replies = []
        for r in requests:
            item = self.labels[r]
            seen[item.task] += 1
            if seen[item.task] > self.wrong:
                replies.append(Reply(text=item.label))
            elif seen[item.task] == 1:
                replies.append(Reply(failure="length"))
            else:
                replies.append(Reply(text=next(c for c in r.choices if c != item.label)))
        return replies


def test_the_probe_is_balanced_and_labelled_from_the_closed_sets():
    items = probe_items()
    labels = {task: Counter(i.label for i in items if i.task == task) for task in CHOICES}
    assert all(set(labels[task]) == set(CHOICES[task]) for task in CHOICES)
    assert all(len(set(counts.values())) == 1 for counts in labels.values())
    assert sum(labels["relevance"].values()) >= 20
    assert len({i.text for i in items}) == len(items)


@pytest.mark.parametrize(("wrong", "passed"), [(0, set(CHOICES)), (2, set(CHOICES)), (3, {"relevance"}), (5, set())])
def test_the_bar_is_four_in_five(wrong, passed):
    result = examine(Oracle(wrong), probe_items())
    assert {task for task in CHOICES if result.passed(task)} == passed
    assert result.accuracy["relevance"] == pytest.approx(1 - wrong / 24)


def test_a_failed_reply_is_wrong_and_has_no_answer():
    first = examine(Oracle(1), probe_items()).items[0]
    assert (first.answer, first.failure) == (None, "length")


def test_a_stored_result_is_reused(tmp_path):
    folder = str(tmp_path / "admission")
    oracle = Oracle(3)
    first = admit(oracle, folder)
    assert admit(oracle, folder) == first
    assert oracle.calls == 1
    (file,) = (tmp_path / "admission").iterdir()
    assert file.name == f"{admission_key(oracle.name)}.json"
    stored = json.loads(file.read_text())
    assert stored["model"] == "oracle@1"
    assert len(stored["items"]) == len(probe_items())


def test_another_model_is_examined_anew(tmp_path):
    assert admission_key("a") != admission_key("b")
    admit(Oracle(), str(tmp_path))
    other = Oracle()
    other.name = "other"
    admit(other, str(tmp_path))
    assert other.calls == 1


def test_without_a_folder_nothing_is_stored():
    assert admit(Oracle(), None).passed("relevance")
