"""What is pointed at in a clip's own picture: sentences, and where in the picture they belong."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pipelines.schema import Box, Clip, Link

QUARTERS = ("upper left", "upper right", "lower left", "lower right")
MARGIN = 0.02
"""Share of the picture's side that a box keeps from its middle to lie in one quarter: about the cursor's own error."""
_COURSE = re.compile(
    r"\b(?:next|another|again|last|first|finally|now|return\w*|start\w*|begin\w*|earlier|before|previous\w*|this is an?)\b",
    re.IGNORECASE,
)
"""Words of a lecture's course: they tell which picture a sentence belongs to without a look at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointed:
    """A sentence spoken while the cursor pointed into the clip's picture."""

    text: str
    box: Box
    """Around all that it points at, as shares (0 to 1) of the picture's width and height."""

    @property
    def quarter(self) -> str | None:
        """The quarter that holds the box whole; None where it lies over the picture's middle lines."""
        vertical = _half(self.box.y0, self.box.y1, "upper", "lower")
        horizontal = _half(self.box.x0, self.box.x1, "left", "right")
        return f"{vertical} {horizontal}" if vertical and horizontal else None


def pointed_in(clip: Clip) -> tuple[Pointed, ...]:
    """The sentences of the clip's representative picture, in the order spoken; those of several pictures are left out."""
    found = []
    for links in _sentences(clip):
        shown = {clip.pictures[link.picture].image_id for link in links}
        if shown == {clip.image_id} and links[0].text.strip():
            found.append(Pointed(text=links[0].text, box=_around(clip, links)))
    return tuple(found)


def pointed_elsewhere(
    clips: Sequence[Clip], image_id: str | None, is_medical: Callable[[str], bool]
) -> tuple[tuple[str, ...], ...]:
    """For each other picture of the video's clips, in the order shown: the medical sentences that are said while pointing
    into it and never of this one, and do not tell the lecture's course.
    """
    here: set[str] = set()
    there: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for clip in clips:
        for links in _sentences(clip):
            for shown in {clip.pictures[link.picture].image_id: None for link in links}:
                if shown == image_id:
                    here.add(links[0].text)
                else:
                    there[shown][links[0].text] = None
    told = (
        tuple(text for text in texts if text not in here and is_medical(text) and not tells_course(text))
        for texts in there.values()
    )
    return tuple(texts for texts in told if texts)


def tells_course(text: str) -> bool:
    """Whether a sentence says where in the lecture it stands ("the next picture")."""
    return _COURSE.search(text) is not None


def _sentences(clip: Clip) -> Iterator[list[Link]]:
    by_sentence: defaultdict[tuple[float, float, str], list[Link]] = defaultdict(list)
    for link in clip.links:
        if link.main and link.episode is not None:
            by_sentence[link.start_s, link.end_s, link.text].append(link)
    yield from (by_sentence[key] for key in sorted(by_sentence))


def _around(clip: Clip, links: Sequence[Link]) -> Box:
    boxes = [clip.episodes[link.episode].box for link in links if link.episode is not None]
    shown = clip.pictures[links[0].picture]
    return Box(
        x0=min(b.x0 for b in boxes) / shown.width,
        y0=min(b.y0 for b in boxes) / shown.height,
        x1=max(b.x1 for b in boxes) / shown.width,
        y1=max(b.y1 for b in boxes) / shown.height,
    )


def _half(low: float, high: float, first: str, second: str) -> str | None:
    if high <= 0.5 - MARGIN:
        return first
    return second if low >= 0.5 + MARGIN else None
