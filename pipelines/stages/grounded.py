"""A clip's pointing episodes and the links of its sentences, from the traces of all its pictures."""

import dataclasses
from collections.abc import Callable, Sequence

from pipelines.config import PointingSettings
from pipelines.schema import Clip, StableInterval, Word
from pipelines.stages import rules
from pipelines.stages.alignment import align
from pipelines.stages.clips import words_between
from pipelines.stages.episodes import pointing
from pipelines.stages.sentences import sentences_of


def grounded(
    clip: Clip,
    words: Sequence[Word],
    stable: Sequence[StableInterval],
    *,
    is_medical: Callable[[str], bool],
    settings: PointingSettings,
) -> Clip:
    """The clip with its episodes and links.

    Args:
        clip: with its `pictures`.
        words: of the whole video.
        stable: the video's intervals, whose traces are used where they fall into the clip.
        is_medical: whether a sentence says something medical.
        settings: as configured.
    """
    sentences = sentences_of(words_between(words, clip.start_s, clip.end_s))
    traces = {(i.start_s, i.image_id): i.trace for i in stable}
    episodes = tuple(
        episode
        for number, shown in enumerate(clip.pictures)
        for episode in pointing(
            traces[shown.start_s, shown.image_id].between(clip.start_s, clip.end_s),
            sentences,
            picture=number,
            size=(shown.width, shown.height),
            settings=settings,
            start_s=shown.start_s,
            is_deictic=rules.is_deictic,
        )
    )
    links = align(
        sentences,
        clip.pictures,
        episodes,
        is_medical=is_medical,
        is_deictic=rules.is_deictic,
        settings=settings,
    )
    return dataclasses.replace(clip, episodes=episodes, links=links)
