"""Which domain a classifier's label names, however it is written."""

import re
from collections.abc import Sequence

from pipelines.errors import UsageError
from pipelines.schema import Domain

DOMAINS = tuple(Domain)
_NONMEDICAL_WORDS = frozenset({"nonmedical", "nonbiomedical", "other", "negative", "none", "background"})
_MEDICAL_WORDS = frozenset({"medical", "biomedical", "clinical", "radiology", "relevant"})
_SYNONYMS = {"radiograph": Domain.XRAY, "sonography": Domain.ULTRASOUND, "histology": Domain.HISTOPATHOLOGY}


def columns_of(labels: Sequence[str]) -> list[int]:
    """For each label the index of its domain in `tuple(Domain)`.

    A medical-or-not model passes only where its medical label names a domain ("medical" alone does not say which).

    Raises:
        UsageError: a label names no domain or several, or none stands for non-medical frames.
    """
    domains = [_domain_of(label) for label in labels]
    if None in domains or Domain.NONMEDICAL not in domains:
        raise UsageError(
            f"classifier.model: its labels must name domains ({', '.join(DOMAINS)}), one of them nonmedical; "
            f"they are {', '.join(map(repr, labels))}."
        )
    return [DOMAINS.index(domain) for domain in domains if domain is not None]


def _domain_of(label: str) -> Domain | None:
    words = re.sub(r"x[\s_-]+ray", "xray", label.lower())
    joined = re.sub(r"[^a-z]", "", words)
    by_word = {**{d.value: d for d in DOMAINS}, **_SYNONYMS}
    denied = re.match(r"\s*(?:non|not|no)[\s_-]+(?:an?[\s_-]+)?([a-z]+)", words)
    if joined in _NONMEDICAL_WORDS or (denied and (denied[1] in by_word or denied[1] in _MEDICAL_WORDS)):
        return Domain.NONMEDICAL  # "non-medical image", "not a CT"; "no tumor mri" is an MRI
    found = {by_word[part] for part in re.split(r"[^a-z]+", words) if part in by_word}
    return found.pop() if len(found) == 1 else None
