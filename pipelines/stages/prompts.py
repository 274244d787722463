"""The prompts: one versioned file a task, in `pipelines/prompts`.

A transcript is data from a stranger: it is quoted as JSON between markers, so that it can neither close the quotation
nor speak as another role. What a model answers is bounded by a schema or a closed set, and judged all the same.
"""

import functools
import hashlib
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "prompts"
INSTRUCTIONS = tuple(f"instruct/{p.stem}" for p in sorted((FOLDER / "instruct").glob("*.toml")))
TEXT_TASKS = ("caption", "medical_text", "roi_text", "correction")
DECISIONS = ("relevance", "modality", "region")
_PLACE = re.compile(r"\{([a-z_]+)\}")
_ROLE_MARKS = re.compile(
    r"<\|[^|>]{0,40}\|>|</?s>|\[/?INST\]|<</?SYS>>|</?(?:transcript|question|options|pointing|asked|context|stage)>",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One task's words. `user` holds `{transcript}` once, and may hold other texts: `{question}`."""

    name: str
    version: int
    system: str
    user: str

    @property
    def label(self) -> str:
        """How a dataset names it: `caption@1`."""
        return f"{self.name}@{self.version}"

    def render(self, transcript: str, **others: str) -> str:
        """The user's turn with the transcript and the other texts in it, as quoted data.

        Raises:
            KeyError: the prompt has a place for a text that is not given.
        """
        texts = {"transcript": transcript, **others}
        # in one pass: a place that a text names is part of the text
        return _PLACE.sub(lambda place: quote(texts[place[1]]), self.user)


def quote(transcript: str) -> str:
    """A transcript as a JSON string without the marks by which chat templates tell roles apart."""
    clean, changed = _ROLE_MARKS.subn(" ", transcript)
    while changed:  # removing one mark may join the halves of another
        clean, changed = _ROLE_MARKS.subn(" ", clean)
    return json.dumps(" ".join(clean.split()), ensure_ascii=False)


@functools.cache
def load(name: str) -> Prompt:
    """The prompt of a task.

    Raises:
        ValueError: the file is not what it should be.
    """
    values = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    prompt = Prompt(name=name, **values)
    if prompt.user.count("{transcript}") != 1 or not isinstance(prompt.version, int):
        raise ValueError(f"prompts/{name}.toml needs an integer version and {{transcript}} exactly once in user.")
    return prompt


def fingerprint() -> str:
    """Hash over all prompts: part of every dataset's fingerprint."""
    return content_hash(*TEXT_TASKS, *DECISIONS)


def content_hash(*names: str) -> str:
    """Sixteen hex digits over the contents of the named prompts, in order."""
    prompts = [load(name) for name in names]
    content = [[p.name, p.version, p.system, p.user] for p in prompts]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
