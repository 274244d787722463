"""Correction of misheard medical words (Quilt-1M, appendix A.1; MedicalNarratives 7.4).

*Conditioned* candidates are tokens that neither a general dictionary nor the medical vocabulary knows; here the
vocabulary itself proposes the replacement. *Unconditioned* ones are proposed by a text model from the whole text. Both
are applied only when verified, and on word boundaries (the published code also rewrote inside words).
"""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.config import TextSettings
from pipelines.schema import Clip, Correction
from pipelines.vocabulary import Candidate, Vocabulary

KNOWN_ZIPF = 1.5
"""A word this frequent in wordfreq (about one in thirty million) is general English. Misspellings reach about 1.4."""
MAX_FRAGMENT_ZIPF = 5.0
"""Above it stand about a thousand words, the function words among them."""
MIN_LENGTH = 4
"""Shorter tokens are abbreviations and noises; nothing can be said about their sound."""
_TOKEN = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*")
_OPPOSITES = (
    ("hyper", "hypo"), ("inter", "intra"), ("pre", "post"), ("tachy", "brady"), ("macro", "micro"), ("ante", "anti"),
    ("ab", "ad"), ("supra", "infra"), ("endo", "exo"), ("epi", "endo"), ("pro", "anti"), ("poly", "oligo"),
)  # fmt: skip
_PROTECTED = frozenset(("left", "right", "no", "not", "none", "never", "without", "absent", "negative", "positive"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """The corrected text and all that was found, applied (verified) or not."""

    text: str
    corrections: tuple[Correction, ...] = ()


@functools.lru_cache(maxsize=65536)
def is_general(word: str) -> bool:
    """Whether general English knows the word (wordfreq)."""
    from wordfreq import zipf_frequency

    return float(zipf_frequency(word.lower().removesuffix("'s"), "en")) >= KNOWN_ZIPF


def is_flagged(token: str, vocabulary: Vocabulary) -> bool:
    """Whether a token is a conditioned candidate: known nowhere, nor made of known parts, nor an abbreviation."""
    if len(token) < MIN_LENGTH or any(c.isupper() for c in token[1:]):
        return False
    parts = [part for part in token.split("-") if len(part) >= MIN_LENGTH]
    known = (is_general(part) or part in vocabulary or vocabulary.is_compound(part) for part in parts)
    return not (is_general(token) or token in vocabulary or all(known))


def correct(
    text: str,
    vocabulary: Vocabulary,
    settings: TextSettings,
    proposed: Mapping[str, str] | None = None,
) -> Corrected:
    """`text` with its verified corrections: the model's `proposed` map first, then the flagged tokens.

    Every candidate is returned once, in order of appearance; an unverified conditioned one has in `right` the nearest
    term, or "" where nothing is near.
    """
    found = [unconditioned(wrong, right, text, vocabulary, settings) for wrong, right in (proposed or {}).items()]
    found += conditioned(text, vocabulary, settings)
    unique: dict[str, Correction] = {}
    for correction in found:
        unique.setdefault(correction.wrong.lower(), correction)
    return Corrected(text=apply(text, unique.values()), corrections=tuple(unique.values()))


def conditioned(text: str, vocabulary: Vocabulary, settings: TextSettings) -> list[Correction]:
    """One correction per flagged token; a neighbour is drawn in where the two together sound more like a term."""
    tokens = list(_TOKEN.finditer(text))
    corrections: list[Correction] = []
    used: set[int] = set()
    for i, token in enumerate(tokens):
        if i in used or not is_flagged(token[0], vocabulary):
            continue
        spans = [(i, i)]
        spans += [(i - 1, i)] if i and i - 1 not in used and _adjacent(text, tokens[i - 1], token) else []
        spans += [(i, i + 1)] if i + 1 < len(tokens) and _adjacent(text, token, tokens[i + 1]) else []
        choices = [(_best(text[tokens[a].start() : tokens[b].end()], vocabulary), (a, b)) for a, b in spans]
        best, (first, last) = max(choices, key=lambda c: (c[0].similarity, c[1] == (i, i)))
        verified = best.similarity >= settings.correction_min_similarity
        if not verified:
            best, first, last = choices[0][0], i, i
        used |= set(range(first, last + 1))
        wrong = text[tokens[first].start() : tokens[last].end()]
        corrections.append(Correction(wrong=wrong, right=best.term, kind="conditioned", verified=verified))
    return corrections


def unconditioned(
    wrong: str, right: str, text: str, vocabulary: Vocabulary, settings: TextSettings
) -> Correction:
    """A model's proposal. Verified: `wrong` is in the text as whole words, `right` in the vocabulary, they sound alike.

    Without the last condition a model (or a transcript that instructs one) could put one organ in another's place.
    """
    wrong, right = " ".join(wrong.split()), " ".join(right.split())
    verified = (
        wrong.lower() != right.lower()
        and _occurrences(wrong, text) > 0
        and right in vocabulary
        and not _PROTECTED & {*wrong.lower().split(), *right.lower().split()}
        and not _opposite(wrong, right)
        and similarity(wrong, right) >= settings.correction_min_similarity
    )
    return Correction(wrong=wrong, right=right, kind="unconditioned", verified=verified)


def apply(text: str, corrections: Iterable[Correction]) -> str:
    """`text` with the verified corrections put in place, in any case but only as whole words, in one pass."""
    rights = {c.wrong.lower(): c.right for c in corrections if c.verified}
    if not rights:
        return text
    longest_first = sorted(rights, key=lambda wrong: (-len(wrong), wrong))
    pattern = re.compile("|".join(_whole(wrong) for wrong in longest_first), re.IGNORECASE)

    def replacement(match: re.Match[str]) -> str:
        right = rights[" ".join(match[0].lower().split())]
        return right[0].upper() + right[1:] if match[0][0].isupper() else right

    return pattern.sub(replacement, text)


def parse_proposals(reply: str) -> dict[str, str]:
    """A model's "wrong => right; wrong => right" as a map; what has another form proposes nothing."""
    pairs = (item.split("=>") for item in re.split(r"[;\n]", reply))
    return {p[0].strip(" \"'"): p[1].strip(" \"'.") for p in pairs if len(p) == 2 and p[0].strip() and p[1].strip()}


def similarity(a: str, b: str) -> float:
    """Mean of spelling and sound, as in `Vocabulary.nearest`, of two phrases."""
    nearest = Vocabulary(frozenset({b.lower()})).nearest(a, limit=1)
    return nearest[0].similarity if nearest else 0.0


def _best(query: str, vocabulary: Vocabulary) -> Candidate:
    candidates = [c for c in vocabulary.nearest(query) if not _opposite(query, c.term)]
    return candidates[0] if candidates else Candidate("", 0.0)


def _opposite(a: str, b: str) -> bool:
    """Whether the two differ by a prefix that turns the meaning round."""
    folded = a.lower(), b.lower()
    return any(
        (folded[0].startswith(x) and folded[1].startswith(y)) or (folded[0].startswith(y) and folded[1].startswith(x))
        for x, y in _OPPOSITES
    )


@functools.lru_cache(maxsize=65536)
def _is_fragment(word: str) -> bool:
    """Whether a word may be a piece of a term: function words ("is", "the") are none."""
    from wordfreq import zipf_frequency

    return float(zipf_frequency(word.lower(), "en")) < MAX_FRAGMENT_ZIPF


def _adjacent(text: str, left: re.Match[str], right: re.Match[str]) -> bool:
    return text[left.end() : right.start()].isspace() and _is_fragment(left[0]) and _is_fragment(right[0])


def _whole(phrase: str) -> str:
    return r"(?<![\w'-])" + r"\s+".join(re.escape(word) for word in phrase.split()) + r"(?![\w'-])"


def _occurrences(phrase: str, text: str) -> int:
    return len(re.findall(_whole(phrase), text, re.IGNORECASE)) if phrase.strip() else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionFigures:
    """A run's figures. Published: 47.99 % conditioned and 17.58 % unconditioned precision, 0.81 % of words changed.

    Precision is verified / found, None where nothing was found (None too for the share where there are no words).
    """

    conditioned_found: int
    conditioned_precision: float | None
    unconditioned_found: int
    unconditioned_precision: float | None
    words: int
    words_changed: int
    changed_share: float | None


def figures(clips: Sequence[Clip]) -> CorrectionFigures:
    """The figures over all clips that were corrected."""
    done = [clip for clip in clips if clip.corrected_text is not None]
    pairs = [(clip, c) for clip in done for c in clip.corrections]
    found = {kind: [c for _, c in pairs if c.kind == kind] for kind in ("conditioned", "unconditioned")}
    words = sum(len(clip.raw_text.split()) for clip in done)
    changed = sum(_occurrences(c.wrong, clip.raw_text) * len(c.wrong.split()) for clip, c in pairs if c.verified)
    precision = {kind: sum(c.verified for c in all_) / len(all_) if all_ else None for kind, all_ in found.items()}
    return CorrectionFigures(
        conditioned_found=len(found["conditioned"]),
        conditioned_precision=precision["conditioned"],
        unconditioned_found=len(found["unconditioned"]),
        unconditioned_precision=precision["unconditioned"],
        words=words,
        words_changed=changed,
        changed_share=changed / words if words else None,
    )
