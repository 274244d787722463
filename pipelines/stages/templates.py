"""Questions made without a text model, from what a row knows: the modality, where the cursor pointed, what was said then.

Every answer is a fact of the row, and no question is to be won by habit:

* `modality` and `place`: the answers asked about are thinned until each is asked for equally often in the dataset
  (`balance`), and the options are those answers and no others, in every question. Whoever always says the commonest is
  right by chance.
* `pointed`: the same options are asked about once for each of their quarters, so each is right exactly once. What was said
  of two quarters is none.
* `finding`: the wrong options are pointing sentences of the same video, each about another of its pictures: were two about
  one, the right option would be the odd one out. All have a medical term, and sentences that tell the lecture's course
  ("the next picture") are never options.

The order of the options comes from the question's id. A body region is not asked for: without a text model it is a count
of words, not a known fact. Place and wording are of the clip's own picture (`picture_only`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.instruct_schema import Drop
from pipelines.schema import Clip
from pipelines.stages.drafts import Draft, in_seeded_order, question_id, seeded
from pipelines.stages.leaks import says_place
from pipelines.stages.pointed import QUARTERS, Pointed, pointed_elsewhere, pointed_in, tells_course
from pipelines.stages.rules import alike

VERSION = 2
"""Raised when a template's words or facts change: part of the fingerprint."""
OPTIONS = 4
FINDING_CHARS = 300

Elsewhere = Sequence[Sequence[str]]
"""For each other picture of the video, what is said while pointing into it."""

_WORDING = {
    "modality": (
        "Which imaging modality does this picture come from?",
        "With which modality was this picture made?",
        "What kind of medical picture is this?",
    ),
    "place": (
        'In which quarter of the picture is this seen: "{text}"',
        'Of this picture it was said: "{text}" In which quarter is what was spoken of?',
        'Find what is described here: "{text}" In which quarter of the picture does it lie?',
    ),
    "pointed": (
        "Which of these describes something in the {place} quarter of the picture?",
        "What is pointed out in the {place} quarter of this picture?",
        "Look at the {place} quarter of the picture. Which of these was said of it?",
    ),
    "pointed_open": (
        "What is pointed out in the {place} quarter of this picture?",
        "Describe what is to be seen in the {place} quarter of the picture.",
        "Look at the {place} quarter of the picture. What is there?",
    ),
    "finding": (
        "Which of these was said of this picture?",
        "Which of these did the teacher say while pointing into this picture?",
    ),
    "finding_open": (
        "What is pointed out in this picture?",
        "Which findings are pointed out here?",
        "What would a teacher point at in this picture?",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """For each answer that is asked about: the share (0 to 1) of its questions that is kept."""

    shares: Mapping[str, float] = field(default_factory=dict)

    def keeps(self, answer: str, name: str, seed: int) -> bool:
        """Whether the question called `name` stays."""
        return seeded(seed, f"balance:{name}").random() < self.shares.get(answer, 0.0)


def balance(counts: Mapping[str, int]) -> Balance:
    """The commonest answers, thinned to the number of the rarest among them.

    How many answers: the number that leaves most questions beyond those that chance answers, (k - 1) times the count of
    the k-th. An answer that is alone needs no looking and is not asked for; of those that one picture may show both, only
    the commonest is: options that differ from question to question would tell which is right.
    """
    ranked: list[tuple[int, str]] = []
    for n, answer in sorted(((n, answer) for answer, n in counts.items() if n), reverse=True):
        if not any(answer in alike(other) for _, other in ranked):
            ranked.append((n, answer))
    if len(ranked) < 2:
        return Balance()
    k = max(range(2, len(ranked) + 1), key=lambda k: ((k - 1) * ranked[k - 1][0], k))
    fewest = ranked[k - 1][0]
    return Balance(shares={answer: fewest / n for n, answer in ranked[:k]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What templates ask about in one clip."""

    modality: str | None
    pointed: tuple[Pointed, ...]
    """Pointing sentences of the clip's picture with a medical term, in the order spoken."""


def facts(clip: Clip, is_medical: Callable[[str], bool]) -> Facts:
    """What is known of the clip's picture; nothing where it has none."""
    if clip.image_id is None:
        return Facts(modality=None, pointed=())
    known = clip.modality.value if clip.modality else "Other"
    pointed = tuple(p for p in pointed_in(clip) if is_medical(p.text))
    return Facts(modality=None if known == "Other" else known, pointed=pointed)  # "Other" names nothing visible


def census(clips: Sequence[Clip], is_medical: Callable[[str], bool]) -> dict[str, Counter[str]]:
    """How often each answer could be asked for; sums over videos give what `balance` needs."""
    counts = {"modality": Counter[str](), "place": Counter[str]()}
    for clip in clips:
        known = facts(clip, is_medical)
        counts["modality"].update([known.modality] if known.modality else [])
        counts["place"].update(p.quarter for p in known.pointed if p.quarter and not says_place(p.text))
    return counts


def drafts(
    clips: Sequence[Clip],
    families: Sequence[str],
    balances: Mapping[str, Balance],
    *,
    is_medical: Callable[[str], bool],
    seed: int,
) -> list[Draft]:
    """The template turns of one video, each family open and with options."""
    return [
        draft
        for clip in clips
        for known, elsewhere in [(facts(clip, is_medical), pointed_elsewhere(clips, clip.image_id, is_medical))]
        for family in families
        for draft in _MAKERS[family](clip, known, elsewhere, balances, seed)
    ]


def _modality(
    clip: Clip, known: Facts, elsewhere: Elsewhere, balances: Mapping[str, Balance], seed: int
) -> Iterator[Draft]:
    if known.modality is None:
        return
    right, asked = known.modality, balances["modality"]
    reason = None if asked.keeps(right, f"{clip.clip_id}/modality", seed) else Drop.BALANCE
    wrong = [answer for answer in sorted(asked.shares) if answer != right]
    yield _draft(clip, "modality_open", 0, "modality", seed, answer=right, reason=reason)
    yield from _choice(clip, "modality_choice", 0, "modality", seed, right, wrong, reason=reason)


def _place(clip: Clip, known: Facts, elsewhere: Elsewhere, balances: Mapping[str, Balance], seed: int) -> Iterator[Draft]:
    asked = balances["place"]
    for number, p in enumerate(known.pointed):
        if p.quarter is None:
            continue
        kept = asked.keeps(p.quarter, f"{clip.clip_id}/place/{number}", seed)
        reason = Drop.PLACE_IN_QUESTION if says_place(p.text) else None if kept else Drop.BALANCE
        wrong = [q for q in QUARTERS if q != p.quarter and (q in asked.shares or reason)]
        yield _draft(clip, "place_open", number, "place", seed, answer=p.quarter, text=p.text, reason=reason)
        yield from _choice(clip, "place_choice", number, "place", seed, p.quarter, wrong, text=p.text, reason=reason)


def _pointed(clip: Clip, known: Facts, elsewhere: Elsewhere, balances: Mapping[str, Balance], seed: int) -> Iterator[Draft]:
    by_quarter: dict[str, list[str]] = {}
    for p in known.pointed:
        if p.quarter is not None and not says_place(p.text) and not tells_course(p.text):
            by_quarter.setdefault(p.quarter, []).append(p.text)
    often = Counter(text for texts in by_quarter.values() for text in set(texts))
    by_quarter = {q: once for q, texts in by_quarter.items() if (once := [t for t in texts if often[t] == 1])}
    chosen = {q: seeded(seed, f"{clip.clip_id}/pointed/{q}").choice(texts) for q, texts in by_quarter.items()}
    for number, quarter in enumerate(q for q in QUARTERS if q in chosen):
        right, wrong = chosen[quarter], [text for q, text in chosen.items() if q != quarter]
        yield _draft(clip, "pointed_open", number, "pointed_open", seed, answer=right, place=quarter)
        yield from _choice(clip, "pointed_choice", number, "pointed", seed, right, wrong, place=quarter)


def _finding(clip: Clip, known: Facts, elsewhere: Elsewhere, balances: Mapping[str, Balance], seed: int) -> Iterator[Draft]:
    here = list(dict.fromkeys(p.text for p in known.pointed if not tells_course(p.text)))
    if not here:
        return
    told = ""
    for text in here:  # whole sentences
        if len(told) + len(text) < FINDING_CHARS:
            told = f"{told} {text}".strip()
    if told:
        yield _draft(clip, "finding_open", 0, "finding_open", seed, answer=told)
    order = seeded(seed, f"{clip.clip_id}/finding")
    wrong: list[str] = []
    for texts in order.sample(elsewhere, len(elsewhere)):
        if fitting := [t for t in texts if t not in wrong]:
            wrong.append(order.choice(fitting))
    yield from _choice(clip, "finding_choice", 0, "finding", seed, order.choice(here), wrong[: OPTIONS - 1])


_MAKERS = {"modality": _modality, "place": _place, "pointed": _pointed, "finding": _finding}


def _draft(clip: Clip, family: str, number: int, template: str, seed: int, *, answer: str,
           reason: Drop | None = None, options: tuple[str, ...] = (), **parts: str) -> Draft:  # fmt: skip
    name = question_id(clip.clip_id, family, number)
    wording = seeded(seed, f"wording:{name}").choice(_WORDING[template])
    return Draft(
        clip_id=clip.clip_id,
        family=family,
        number=number,
        question=wording.format(**parts),
        answer=answer,
        options=options,
        source="template",
        prompt=f"{template}@{VERSION}",
        picture_only=template != "modality",
        reason=reason,
    )


def _choice(clip: Clip, family: str, number: int, template: str, seed: int, right: str, wrong: Sequence[str],
            reason: Drop | None = None, **parts: str) -> Iterator[Draft]:  # fmt: skip
    """With options, where there is one to be wrong about."""
    name = question_id(clip.clip_id, family, number)
    others = seeded(seed, f"wrong:{name}").sample(list(wrong), min(OPTIONS - 1, len(wrong)))
    if others:
        options = in_seeded_order([right, *others], seed, name)
        yield _draft(clip, family, number, template, seed, answer=right, options=options, reason=reason, **parts)
