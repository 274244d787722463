"""Which picture, and which pointing, a sentence speaks of.

MedicalNarratives (3.3) links an image to a text where RAKE keywords of the transcript around the image overlap those of
the text. Here the words' times speak first and keywords decide where times do not: a sentence that announces the next
picture, or trails after the last one. All ties are kept, the main one is marked.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

from pipelines.config import PointingSettings
from pipelines.schema import Episode, Link, ShownPicture, TextKind
from pipelines.stages import faithfulness
from pipelines.stages.sentences import Sentence

_CUE = re.compile(
    r"^\W*(?:(?:and|so|okay|ok|well|then)\W+)*(?:next(?! to)|now(?! that)|let us|let's|finally|lastly|moving on|"
    r"(?:the|our) (?:next|last|following)|we (?:now )?(?:turn|move|go|continue)|here comes|up next|coming up|after this|"
    r"(?:at|in) (?:a )?(?:higher|lower|closer|greater) (?:power|magnification|view))\b",
    re.IGNORECASE,
)
"""How a sentence begins that leads to another picture."""

Keywords = Counter[str]


def align(
    sentences: Sequence[Sentence],
    pictures: Sequence[ShownPicture],
    episodes: Sequence[Episode],
    *,
    is_medical: Callable[[str], bool],
    is_deictic: Callable[[str], bool],
    settings: PointingSettings,
) -> tuple[Link, ...]:
    """All links of the sentences, by sentence and picture, in time order.

    Args:
        sentences: in time order.
        pictures: in time order, not overlapping.
        episodes: of those pictures.
        is_medical: whether a sentence says something medical.
        is_deictic: whether it points ("look here").
        settings: as configured.
    """
    shares = [[_time_share(sentence, picture) for picture in pictures] for sentence in sentences]
    keywords = [_keywords(sentence.text) for sentence in sentences]
    weights = _rarity(keywords)
    links: list[Link] = []
    for i, sentence in enumerate(sentences):
        pointed = is_deictic(sentence.text)
        if not pointed and not is_medical(sentence.text):
            continue
        scores: dict[int, tuple[float, float]] = {}
        for j in _candidates(sentence, pictures, shares[i], settings):
            others = [k for n, k in enumerate(keywords) if n != i and shares[n][j] == max(shares[n]) > 0]
            likeness = _cosine(keywords[i], sum(others, Counter()), weights)
            cue = settings.cue_weight if _leads_to(sentence, pictures[j], settings) else 0.0
            scores[j] = (shares[i][j] + settings.keyword_weight * likeness + cue, likeness)
        if not scores:
            continue
        main = max(scores, key=lambda j: (scores[j][0], -j))
        for j in sorted(scores):
            if j != main and shares[i][j] < settings.also_share:
                continue
            episode = _episode(sentence, episodes, j, settings)
            links.append(
                Link(
                    kind=TextKind.ROI if pointed and episode is not None else TextKind.MEDICAL,
                    text=sentence.text,
                    start_s=sentence.start_s,
                    end_s=sentence.end_s,
                    picture=j,
                    episode=episode,
                    time_share=round(shares[i][j], 3),
                    keyword_share=round(scores[j][1], 3),
                    main=j == main,
                )
            )
    return tuple(links)


def _time_share(sentence: Sentence, picture: ShownPicture) -> float:
    inside = sum(picture.start_s <= (w.start_s + w.end_s) / 2 < picture.end_s for w in sentence.words)
    return inside / len(sentence.words)


def _candidates(
    sentence: Sentence, pictures: Sequence[ShownPicture], shares: Sequence[float], settings: PointingSettings
) -> list[int]:
    """Pictures on show while it was spoken, the one that comes shortly after, the one that went shortly before."""
    return [
        j
        for j, picture in enumerate(pictures)
        if shares[j] > 0
        or 0 <= picture.start_s - sentence.end_s <= settings.lead_s
        or 0 <= sentence.start_s - picture.end_s <= settings.lag_s
    ]


def _leads_to(sentence: Sentence, picture: ShownPicture, settings: PointingSettings) -> bool:
    """Whether it begins before the picture, ends not long before it, and sounds like an announcement."""
    follows = sentence.start_s < picture.start_s and picture.start_s - sentence.end_s <= settings.lead_s
    return follows and _CUE.match(sentence.text) is not None


def _keywords(text: str) -> Keywords:
    return Counter(faithfulness.stem(t) for t in faithfulness.tokens(text) if faithfulness.is_content(t))


def _rarity(keywords: Sequence[Keywords]) -> dict[str, float]:
    """Inverse document frequency over the sentences, smoothed: what every sentence says distinguishes none."""
    counts = Counter(word for found in keywords for word in found)
    return {word: math.log((1 + len(keywords)) / (1 + n)) + 0.1 for word, n in counts.items()}


def _cosine(a: Keywords, b: Keywords, weights: dict[str, float]) -> float:
    def norm(k: Keywords) -> float:
        return math.sqrt(sum((n * weights[w]) ** 2 for w, n in k.items()))

    whole = norm(a) * norm(b)
    return sum(n * b[w] * weights[w] ** 2 for w, n in a.items()) / whole if whole else 0.0


def _episode(
    sentence: Sentence, episodes: Sequence[Episode], picture: int, settings: PointingSettings
) -> int | None:
    """The episode on that picture that lasts longest while the sentence does."""
    overlaps = {
        i: min(e.end_s, sentence.end_s + settings.after_s) - max(e.start_s, sentence.start_s - settings.before_s)
        for i, e in enumerate(episodes)
        if e.picture == picture
    }
    best = max(overlaps, key=lambda i: (overlaps[i], -i), default=None)
    return best if best is not None and overlaps[best] > 0 else None
