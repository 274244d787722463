"""Precision, recall, confusions and calibration, counted by hand."""

import numpy as np
import pytest

from train.frame_figures import calibration, figures

LABELS = ("ct", "mri", "nonmedical")


def sure(chosen, probability=0.9):
    rows = np.full((len(chosen), 3), (1 - probability) / 2)
    rows[np.arange(len(chosen)), chosen] = probability
    return rows


def test_counts_by_class():
    truth = np.array([0, 0, 0, 2, 2])
    found = figures(sure([0, 0, 2, 2, 2]), truth, LABELS)
    assert found["accuracy"] == 0.8
    assert found["accuracy of always the commonest class"] == 0.6
    assert found["classes"]["ct"] == {"pictures": 3, "precision": 1.0, "recall": pytest.approx(2 / 3, abs=1e-4)}
    assert found["classes"]["nonmedical"]["precision"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["classes"]["mri"] == {"pictures": 0, "precision": None, "recall": None}
    assert found["confusion"]["counts"] == [[2, 0, 1], [0, 0, 0], [0, 0, 2]]


def test_calibration_sees_too_sure_answers():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 4000)
    right = rng.random(4000) < 0.7
    chosen = np.where(right, truth, (truth + 1) % 3)
    honest, boasting = calibration(sure(chosen, 0.7), truth), calibration(sure(chosen, 0.95), truth)
    assert honest["expected calibration error"] < 0.03
    assert boasting["expected calibration error"] == pytest.approx(0.25, abs=0.03)
    assert honest["best temperature"] == pytest.approx(1, abs=0.1)
    assert boasting["best temperature"] > 1.4
    (one,) = boasting["bins"]
    assert (one["from"], one["pictures"], one["mean probability"]) == (0.9, 4000, 0.95)
    assert calibration(sure([0, 1], 1.0), np.array([0, 1]))["bins"][0]["to"] == 1.0
