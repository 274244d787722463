import pytest

from actors.admission import probe_items
from pipelines import vocabulary
from pipelines.schema import Domain
from pipelines.stages import rules

WORDS = vocabulary.load()


def test_closed_sets_are_the_published_ones():
    assert (len(set(rules.MODALITIES)), len(set(rules.REGIONS))) == (12, 11)


@pytest.mark.parametrize("domain", list(Domain))
def test_every_domain_has_a_modality_and_a_region(domain):
    assert rules.modality("", domain) in rules.MODALITIES
    assert rules.region("", domain) in rules.REGIONS


@pytest.mark.parametrize(
    ("text", "domain", "expected"),
    [
        ("This echocardiogram in parasternal view", Domain.ULTRASOUND, "Echocardiography"),
        ("This liver", Domain.ULTRASOUND, "Ultrasound"),
        ("An angiogram of the leg", Domain.XRAY, "Angiography"),
        ("A barium swallow", Domain.XRAY, "Fluoroscopy"),
        ("CT angiography of the aorta", Domain.CT, "CT"),
        ("Laparoscopic view", Domain.SURGERY, "Endoscopy and Laparoscopic Surgery"),
        ("Unlike on ultrasound", Domain.MRI, "MRI"),
        ("A slide", Domain.HISTOPATHOLOGY, "Microscopy"),
    ],
)
def test_modality(text, domain, expected):
    assert rules.modality(text, domain) == expected


@pytest.mark.parametrize("item", [i for i in probe_items() if i.task == "region"], ids=lambda i: i.label)
def test_region_of_the_probe(item):
    assert rules.region(item.text, Domain.CT) == item.label


def test_region_falls_back_to_the_domain():
    assert rules.region("a small brown spot", Domain.DERMATOLOGY) == "Skin"
    assert rules.region("a small brown spot", Domain.CT) == "Other"


def test_relevance_of_the_probe():
    items = [i for i in probe_items() if i.task == "relevance"]
    right = [rules.relevance(i.text, Domain.CT, WORDS) == i.label for i in items]
    assert sum(right) >= 22


def test_relevance_needs_a_medical_picture_and_ten_words():
    text = "The axial slice shows a nodule with tethering of the pleura and an effusion."
    assert rules.relevance(text, Domain.CT, WORDS) == "relevant"
    assert rules.relevance(text, Domain.NONMEDICAL, WORDS) == "irrelevant"
    assert rules.relevance("nodule pleura effusion pneumothorax", Domain.CT, WORDS) == "irrelevant"


def test_roi_sentences_are_those_that_point():
    text = "Asthma is common. Look here at this bronchus. The exam is long. You can see the wall!"
    assert rules.roi_sentences(text) == "Look here at this bronchus. You can see the wall!"
    assert rules.roi_sentences("Asthma is common.") is None


def test_medical_sentences_are_those_with_terms():
    assert rules.medical_sentences("Hello again. The pleura is thick.", WORDS) == "The pleura is thick."
    assert rules.medical_sentences("Hello again.", WORDS) is None


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("Look here at this bronchus.", True),
        ("This small dark area is necrosis.", True),
        ("You can see the wall.", True),
        ("I am pointing at the vessel.", True),
        ("Follow my cursor.", True),
        ("Asthma is common.", False),
        ("There are three layers.", False),
        ("Adhere to the protocol.", False),
    ],
)
def test_what_points(text, points):
    assert rules.is_deictic(text) is points


@pytest.mark.parametrize(
    ("text", "medical"),
    [
        ("The pleura is thick.", True),
        ("These cells are large.", True),
        ("The cortex is narrow.", True),
        ("Each cell is round.", True),
        ("Thanks for watching and see you next time.", False),
        ("", False),
    ],
)
def test_over_a_medical_picture_everyday_terms_count_too(text, medical):
    assert rules.speaks_medically(text, WORDS) is medical


def test_everyday_terms_do_not_make_a_text_medical_elsewhere():
    assert rules.medical_terms("Each cell is round", WORDS) == []
