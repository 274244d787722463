"""Which picture, and which pointing, a sentence speaks of."""

import pytest

from pipelines.config import PointingSettings
from pipelines.schema import Box, Episode, Link, ShownPicture, TextKind, Word
from pipelines.stages.alignment import align
from pipelines.stages.sentences import Sentence

SETTINGS = PointingSettings()


def said(text: str, start_s: float, end_s: float) -> Sentence:
    tokens = text.split()
    step_s = (end_s - start_s) / len(tokens)
    words = tuple(
        Word(start_s=start_s + i * step_s, end_s=start_s + (i + 1) * step_s, text=t, probability=1.0, sentence=0)
        for i, t in enumerate(tokens)
    )
    return Sentence(text=text, start_s=start_s, end_s=end_s, words=words)


def shown(start_s: float, end_s: float, image_id: str = "i") -> ShownPicture:
    return ShownPicture(start_s=start_s, end_s=end_s, image_id=image_id, width=100, height=80, method="median")


def pointed(start_s: float, end_s: float, picture: int = 0) -> Episode:
    box = Box(x0=0, y0=0, x1=10, y1=10)
    return Episode(start_s=start_s, end_s=end_s, picture=picture, box=box, points=9, confidence=0.9)


TWO = (shown(0, 10, "a"), shown(10, 20, "b"))


def links(sentences, pictures=TWO, episodes=(), *, medical=True, settings=SETTINGS) -> tuple[Link, ...]:
    return align(
        sentences,
        pictures,
        episodes,
        is_medical=lambda text: medical if isinstance(medical, bool) else medical(text),
        is_deictic=lambda text: "here" in text.lower(),
        settings=settings,
    )


def main_pictures(found: tuple[Link, ...]) -> dict[str, int]:
    return {link.text: link.picture for link in found if link.main}


def test_a_sentence_speaks_of_the_picture_on_show() -> None:
    (link,) = links([said("The pleura is thick.", 2, 5)])
    assert (link.picture, link.main, link.kind) == (0, True, TextKind.MEDICAL)
    assert (link.start_s, link.end_s, link.text) == (2, 5, "The pleura is thick.")
    assert (link.time_share, link.episode) == (1.0, None)


def test_sentences_that_say_nothing_medical_and_do_not_point_have_no_link() -> None:
    sentences = [said("Please subscribe.", 2, 4), said("The pleura is thick.", 4, 6), said("Look here.", 6, 7)]
    found = links(sentences, medical=lambda text: "pleura" in text)
    assert [link.text for link in found] == ["The pleura is thick.", "Look here."]


def test_what_points_while_the_cursor_does_is_of_the_region() -> None:
    episodes = [pointed(0, 1.5), pointed(2, 4), pointed(4, 7)]
    (link,) = links([said("Look here at the pleura.", 3, 6)], episodes=episodes)
    assert (link.kind, link.episode) == (TextKind.ROI, 2)


def test_words_alone_or_the_cursor_alone_make_no_region() -> None:
    (words,) = links([said("Look here at the pleura.", 3, 6)])
    (cursor,) = links([said("The pleura is thick.", 3, 6)], episodes=[pointed(3, 6)])
    assert (words.kind, words.episode) == (TextKind.MEDICAL, None)
    assert (cursor.kind, cursor.episode) == (TextKind.MEDICAL, 0)


@pytest.mark.parametrize(("start_s", "end_s", "episode"), [(6.25, 8, 0), (6.35, 8, None), (1, 2.65, 0), (1, 2.55, None)])
def test_hands_come_a_little_before_the_words_and_go_a_little_after(
    start_s: float, end_s: float, episode: int | None
) -> None:
    (link,) = links([said("Look here.", 3, 6)], episodes=[pointed(start_s, end_s)])
    assert link.episode == episode


def test_pointing_on_another_picture_is_not_meant() -> None:
    (link,) = links([said("Look here.", 3, 6)], episodes=[pointed(3, 6, picture=1)])
    assert link.episode is None


def test_a_sentence_over_two_pictures_has_both_and_one_is_the_main_one() -> None:
    found = links([said("one two three four five six", 7, 13)])
    assert [(link.picture, link.time_share) for link in found] == [(0, 0.5), (1, 0.5)]
    assert sum(link.main for link in found) == 1
    (only,) = links([said("one two three four five six seven eight nine ten", 2.5, 11)])
    assert (only.picture, only.main) == (0, True)
    assert only.time_share == 0.9


def test_words_of_the_next_picture_decide_where_times_do_not() -> None:
    sentences = [
        said("The kidney has a cortex and a medulla.", 1, 5),
        said("This cortical kidney tissue has tubules.", 8.9, 11.1),
        said("The retina shows haemorrhages near the optic disc.", 12, 16),
    ]
    assert main_pictures(links(sentences))[sentences[1].text] == 0
    other = said("Haemorrhages spread over the retina.", 8.5, 11.0)  # three of five words over the kidney
    found = links([sentences[0], other, sentences[2]])
    assert main_pictures(found)[other.text] == 1
    assert next(link for link in found if link.text == other.text and link.picture == 1).keyword_share > 0.2


def test_an_announcement_leads_to_the_next_picture() -> None:
    assert main_pictures(links([said("Next we look at the retina.", 8, 10)])) == {"Next we look at the retina.": 1}
    assert main_pictures(links([said("This is of the retina.", 8, 10)])) == {"This is of the retina.": 0}
    early = said("Next we look at the retina.", 3, 6)
    assert main_pictures(links([early])) == {early.text: 0}


@pytest.mark.parametrize(
    ("text", "leads"),
    [
        ("Okay, so next comes the liver.", True),
        ("Now let us turn to the liver.", True),
        ("Let's see the liver.", True),
        ("Finally the liver.", True),
        ("And at a higher power the liver.", True),
        ("Then at higher magnification the liver.", True),
        ("The liver is next to the stomach.", False),
        ("Next to the liver lies the stomach.", False),
        ("Now that we saw the liver.", False),
        ("Nextera is a brand of stains.", False),
    ],
)
def test_what_an_announcement_sounds_like(text: str, leads: bool) -> None:
    assert main_pictures(links([said(text, 8, 9.5)])) == {text: 1 if leads else 0}


def test_between_pictures_the_one_shortly_before_or_after_is_meant() -> None:
    pictures = [shown(0, 10), shown(14, 20)]
    assert main_pictures(links([said("The liver.", 10.9, 11.9)], pictures)) == {"The liver.": 0}
    assert main_pictures(links([said("The liver.", 11.5, 12.6)], pictures)) == {"The liver.": 1}
    assert links([said("The liver.", 11.1, 12.4)], pictures) == ()


def test_nothing_to_tie() -> None:
    assert links([]) == ()
    assert links([said("The liver.", 1, 2)], ()) == ()


def test_links_come_by_sentence_and_picture() -> None:
    sentences = [said("one two three four", 8, 12), said("five six", 12, 14)]
    assert [(link.start_s, link.picture) for link in links(sentences)] == [(8, 0), (8, 1), (12, 1)]
