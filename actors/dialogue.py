"""Quilt's iterative reasoning: a student who sees the picture guesses, a mentor who knows the diagnosis hints."""

import re
from collections.abc import Sequence
from dataclasses import replace

from actors.asking import Asking, Told, label
from pipelines.instruct_schema import Drop
from pipelines.stages.drafts import Draft, seeded

SHORT, LONG = 2, 3
"""Exchanges: published are dialogues of four messages, or six."""
_END = re.compile(r"\s*(?:CORRECT!*|End of Guidance\.?)\s*$")
_HINT = "hint: do not name the diagnosis"
_LAST = "last: say whether the student is right, name the diagnosis, and explain it by what is visible"


def iterative(asking: Asking, about: Sequence[Told]) -> list[Draft]:
    """The dialogues. A guess may be wrong, so only the mentor's words are judged, against the whole lecture's."""
    named = label("clues", "student", "mentor")
    going, drafts = asking.clued(about, "iterative", named)
    said = {t.clip_id: "" for t, _ in going}
    for number in range(LONG):
        clips = [t for t, _ in going]
        guesses = asking.ask("student", [(t.transcript, {"asked": said[t.clip_id] or "nothing yet"}) for t in clips])
        made = [asking.asked(t, "iterative", number, named, g) for t, g in zip(clips, guesses, strict=True)]
        context = [
            {
                "pointing": t.pointing,
                "clues": clues,
                "asked": said[t.clip_id] or "nothing yet",
                "stage": _LAST if number + 1 == exchanges(asking, t) else _HINT,
            }
            for t, clues in going
        ]
        hinted = asking.answered(made, clips, "mentor", context, by_lecture=True)
        ended = set()
        for t, draft in zip(clips, hinted, strict=True):
            is_right, words = _END.search(draft.answer) is not None, _END.sub("", draft.answer)
            drafts.append(replace(draft, answer=words).dropped(None if words else Drop.EMPTY))
            said[t.clip_id] += f" Student: {draft.question} Mentor: {words}"
            if is_right or drafts[-1].reason or number + 1 == exchanges(asking, t):
                ended.add(t.clip_id)
        going = [(t, clues) for t, clues in going if t.clip_id not in ended]
    return drafts


def exchanges(asking: Asking, about: Told) -> int:
    """How many the clip's dialogue may have."""
    draw = seeded(asking.config.seed, f"exchanges:{about.clip_id}").random()
    return LONG if draw < asking.config.gate.long_share else SHORT
