"""Relevance, modality, region and ROI sentences by rules: what counts where no text model passed its admission probe.

The closed sets are OpenBiomedVid's twelve modalities and eleven regions.
"""

import re
from collections.abc import Mapping, Sequence

from pipelines.schema import Domain
from pipelines.vocabulary import Vocabulary

RELEVANCE = ("relevant", "irrelevant")
MODALITIES = (
    "Ultrasound", "CT", "Surgical and Procedural", "Echocardiography", "MRI", "Anatomy and Biological Processes",
    "X-ray", "Microscopy", "Other", "Endoscopy and Laparoscopic Surgery", "Angiography", "Fluoroscopy",
)  # fmt: skip
REGIONS = (
    "Cardiac", "Gastrointestinal", "Musculoskeletal", "Cranial and Nervous", "Genitourinary",
    "Thoracic and Respiratory", "Other", "Vascular", "Head and Neck", "Skin", "Endocrine",
)  # fmt: skip
ALIKE = (
    {"Ultrasound", "Echocardiography"},
    {"X-ray", "Fluoroscopy", "Angiography"},
    {"Surgical and Procedural", "Endoscopy and Laparoscopic Surgery"},
    {"Cardiac", "Vascular", "Thoracic and Respiratory"},
    {"Head and Neck", "Cranial and Nervous", "Endocrine"},
)
"""Families of which one picture may show two: they are never options of one question."""


def alike(name: str) -> set[str]:
    """The modality or region, and those that its picture may show too."""
    return {name}.union(*(family for family in ALIKE if name in family))
MIN_WORDS = 10
"""Published: a caption of fewer words is dropped."""
MIN_TERMS = 3
"""Distinct medical terms. Unpublished; with three the rule answers 22 of the admission probe's 24 items as labelled."""
MAX_TERM_ZIPF, EVERYDAY_ZIPF = 4.0, 5.0
"""wordfreq's scale: ten and a hundred in a million."""

_DOMAIN_MODALITY = {
    Domain.CT: "CT",
    Domain.MRI: "MRI",
    Domain.XRAY: "X-ray",
    Domain.MAMMOGRAPHY: "X-ray",
    Domain.ULTRASOUND: "Ultrasound",
    Domain.SURGERY: "Surgical and Procedural",
    Domain.DENTISTRY: "Surgical and Procedural",
    Domain.ENDOSCOPY: "Endoscopy and Laparoscopic Surgery",
    Domain.HISTOPATHOLOGY: "Microscopy",
    Domain.ILLUSTRATION: "Anatomy and Biological Processes",
    Domain.DERMATOLOGY: "Other",
    Domain.OPHTHALMOLOGY: "Other",
    Domain.NONMEDICAL: "Other",
}
_DOMAIN_REGION = {
    Domain.DERMATOLOGY: "Skin",
    Domain.DENTISTRY: "Head and Neck",
    Domain.OPHTHALMOLOGY: "Head and Neck",
    Domain.MAMMOGRAPHY: "Other",
}
_REFINED_MODALITY: Mapping[str, tuple[tuple[str, str], ...]] = {
    "Ultrasound": (("Echocardiography", r"echocardiogra\w*|parasternal|apical (?:two|three|four|five|2|3|4|5) chamber"),),
    "X-ray": (
        ("Angiography", r"\w*angiogra\w*|venogra\w*"),
        ("Fluoroscopy", r"fluoroscop\w*|barium swallow|swallow study|videofluoro\w*"),
    ),
    "Surgical and Procedural": (
        ("Endoscopy and Laparoscopic Surgery", r"laparoscop\w*|endoscop\w*|arthroscop\w*|thoracoscop\w*"),
    ),
}
"""Finer modalities that the words tell and the domain does not; only within their own family."""

_REGION_WORDS = {
    "Cardiac": r"heart|cardiac|myocardi\w*|ventric(?:le|ular)\w*|atri(?:um|a|al)|mitral|tricuspid|pericard\w*|valves?|"
    r"coronar\w+|septum|echocardi\w*|endocard\w*",
    "Gastrointestinal": r"liver|hepat\w+|stomach|gastr\w+|bowel|colon\w*|colorectal|duoden\w+|jejun\w+|ile(?:um|al)|"
    r"pancrea\w+|gallbladder|biliary|bile|esophag\w+|oesophag\w+|append(?:ix|icitis|iceal)|rect(?:um|al)|abdom\w+|spleen|"
    r"splenic|intestin\w+|polyps?|peritone\w+",
    "Musculoskeletal": r"bones?|joints?|knees?|hips?|femur|femoral head|tibia\w*|fibula\w*|humer\w+|shoulders?|elbows?|"
    r"wrists?|ankles?|menisc\w+|ligaments?|tendons?|fractur\w+|muscles?|osteo\w*|arthr\w+|vertebra\w*|lumbar|spine|"
    r"cartilage|rotator cuff|pelvis",
    "Cranial and Nervous": r"brain|cerebr\w+|cerebell\w+|crani\w+|skull|cort(?:ex|ical)|neur\w+|nerves?|spinal cord|"
    r"hippocamp\w+|thalam\w+|stroke|intracranial|subdural|mening\w+|white matter|gr[ae]y matter|basal ganglia",
    "Genitourinary": r"kidneys?|renal|ureter\w*|bladder|urethra\w*|prostat\w+|uter\w+|ovar\w+|cervix|"
    r"testi\w+|scrot\w+|nephr\w+|urinary|vagin\w+|endometri\w+|fetus|fetal|pregnan\w+|glomerul\w+",
    "Thoracic and Respiratory": r"lungs?|pulmonary|pleura\w*|bronch\w+|trachea\w*|thora\w+|chest|pneumo(?:nia|thorax)\w*|"
    r"mediastin\w+|lobes?|alveol\w+|diaphragm|respirat\w+|airways?|hil(?:um|ar)",
    "Vascular": r"aort\w+|arter\w+|veins?|venous|vascular|vessels?|aneurysm\w*|thromb\w+|carotid|"
    r"stenos[ie]s|embol\w+|vena cava|jugular",
    "Head and Neck": r"neck|eyes?|retina\w*|optic|macul\w+|cornea\w*|iris|lens|teeth|tooth|dental|molars?|gingiv\w+|"
    r"mandib\w+|maxill\w+|sinus(?:es)?|nasal|nose|ears?|tympanic|lar(?:ynx|yngeal)|phar(?:ynx|yngeal)|tongue|oral|tonsils?|orbit\w*",
    "Skin": r"skin|dermis|dermat\w+|epiderm\w+|melanom\w+|nevus|nevi|rash|lesion of the skin|eczema|psoria\w+|keratos[ie]s|"
    r"pigment\w*|mole",
    "Endocrine": r"thyroid\w*|parathyroid\w*|adrenal\w*|pituitar\w+|endocrin\w+|goit\w+|insulin\w*|islets?|hormon\w+",
}
_REGION_PATTERNS = {name: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for name, words in _REGION_WORDS.items()}
_DEIXIS = re.compile(
    r"\b(?:here|look at|looking at|this (?:\w+ ){0,2}(?:area|region|part|spot|structure|point|line|band|border|one)|"
    r"these (?:\w+ ){0,2}(?:areas|regions|structures|lines|spots)|you (?:can )?see|as you see|notice|"
    r"(?:my|the) (?:cursor|pointer|arrow)|point(?:ing)? (?:to|at|out)|right there|over there)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def medical_terms(text: str, vocabulary: Vocabulary) -> list[str]:
    """Distinct medical words of the text, in order: vocabulary words that are rare in general English ("silver" and
    "iron" are MeSH headings too), and all that name a region.
    """
    from wordfreq import zipf_frequency

    def is_term(word: str) -> bool:
        rare = word in vocabulary and float(zipf_frequency(word, "en")) < MAX_TERM_ZIPF
        return rare or any(pattern.fullmatch(word) for pattern in _REGION_PATTERNS.values())

    return [w for w in dict.fromkeys(re.findall(r"[a-z][a-z-]{2,}", text.lower())) if is_term(w)]


def relevance(text: str, domain: Domain, vocabulary: Vocabulary) -> str:
    """`relevant` where a medical picture (visible content) meets enough words and terms (specific content)."""
    specific = len(text.split()) >= MIN_WORDS and len(medical_terms(text, vocabulary)) >= MIN_TERMS
    return RELEVANCE[0] if domain is not Domain.NONMEDICAL and specific else RELEVANCE[1]


def modality(text: str, domain: Domain) -> str:
    """The domain's modality (the picture decides), refined by the words within its family."""
    coarse = _DOMAIN_MODALITY[domain]
    for finer, words in _REFINED_MODALITY.get(coarse, ()):
        if re.search(rf"\b(?:{words})\b", text, re.IGNORECASE):
            return finer
    return coarse


def region(text: str, domain: Domain) -> str:
    """The region named most often; ties go to the one named first, silence to the domain's own region or `Other`."""
    hits = {name: list(pattern.finditer(text)) for name, pattern in _REGION_PATTERNS.items()}
    named = {name: found for name, found in hits.items() if found}
    if not named:
        return _DOMAIN_REGION.get(domain, "Other")
    return max(named, key=lambda name: (len(named[name]), -named[name][0].start()))


def sentences(text: str) -> Sequence[str]:
    """The text's sentences, by their final punctuation."""
    return [s for s in _SENTENCE_END.split(text.strip()) if s]


def speaks_medically(text: str, vocabulary: Vocabulary) -> bool:
    """Whether a sentence over a medical picture says anything of it: here everyday terms count too ("cell")."""
    from wordfreq import zipf_frequency

    def counts(word: str) -> bool:
        return (word in vocabulary or f"{word}s" in vocabulary) and float(zipf_frequency(word, "en")) < EVERYDAY_ZIPF

    return bool(medical_terms(text, vocabulary)) or any(counts(w) for w in re.findall(r"[a-z]{4,}", text.lower()))


def is_deictic(text: str) -> bool:
    """Whether it points: "look here", "this area", "you can see"."""
    return _DEIXIS.search(text) is not None


def roi_sentences(text: str) -> str | None:
    """The sentences that point ("look here", "this area", "you can see"); None where nobody points."""
    return " ".join(s for s in sentences(text) if is_deictic(s)) or None


def medical_sentences(text: str, vocabulary: Vocabulary) -> str | None:
    """The sentences that hold a medical term; None where none does."""
    return " ".join(s for s in sentences(text) if medical_terms(s, vocabulary)) or None
