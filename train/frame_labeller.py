"""`preceptor train label`: frames shown to a vision model behind an OpenAI-compatible address, its labels kept in a CSV.

As OpenBiomedVid labelled its 16.9K frames with GPT-4o-mini, people agreeing with about 95 % of a sample. A reply that is not
of the form is asked for again a few times; then the frame has no label, and none is made up. A person corrects the CSV, the
same command goes on with what has no label, and `preceptor train frames` learns from the file.
"""

import base64
import csv
import hashlib
import io
import os
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from actors.domain_labels import columns_of
from actors.frame_classifier import CLASS_NAMES
from actors.text_engine import CONCURRENT_REQUESTS, OpenAiEngine, Reply, Request
from pipelines.errors import UsageError
from pipelines.image_file import filesystem, put
from pipelines.media import to_jpeg
from pipelines.schema import Domain
from train.frame_data import SUFFIXES, is_picture, read_picture
from train.frame_lesson import shown_to_model
from train.ray_run import Say

PROMPT = Path(__file__).parent / "prompts" / "frame_label.toml"
LONGEST_EDGE_PX = 768
"""Larger than `curate`'s frames: small print may tell a slide from a scan."""
MAX_TOKENS = 32
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the CSV. Either `label` or `failure` is empty."""

    path: str
    """As seen from the file's folder."""
    label: str
    group: str
    model: str = ""
    prompt: str = ""
    failure: str = ""
    """`malformed`, `length`, `refused` or `unreadable`: asked again by the next run."""
    more: Mapping[str, str] = field(default_factory=dict)
    """A person's own columns."""


_COLUMNS = tuple(f.name for f in fields(Row) if f.name != "more")


def run(pictures: Sequence[Path], out: Path, engine: OpenAiEngine, classes: Sequence[str] = (), *, tries: int = 3,
        say: Say = print) -> Counter[str]:  # fmt: skip
    """Label all pictures of the folders that have no label in `out` yet; counts of labels and of failures in it.

    Every few pictures the file is written anew, whole. Labels in it, whoever gave them, are never asked for again.

    Raises:
        UsageError: there are no pictures, or the classes name no domains; the key or the model is wrong.
        EnvironmentFault: the address cannot be reached or keeps failing; labels so far are kept.
    """
    named = tuple(classes) or tuple(d.value for d in Domain)
    columns_of(named)
    rows = {row.path: row for row in read_rows(out)}
    found = {row.path: row for folder in pictures for row in _unlabelled(folder, out.parent)}
    if not found:
        raise UsageError(f"There are no pictures ({', '.join(SUFFIXES)}) in {', '.join(map(str, pictures))}.")
    if wrong := sorted({row.label for row in rows.values() if row.label} - set(named)):
        raise UsageError(f"{out} has the label '{wrong[0]}', which is none of the classes {', '.join(named)}.")
    waiting = [row for path, row in found.items() if path not in rows or not rows[path].label]
    label = f"frame_label@{_prompt()['version']}-{prompt_hash(named)}"
    for start in range(0, len(waiting), CONCURRENT_REQUESTS):
        batch = waiting[start : start + CONCURRENT_REQUESTS]
        replies = ask(engine, [(out.parent / row.path) for row in batch], named, tries)
        for row, reply in zip(batch, replies, strict=True):
            before = rows.get(row.path, row)  # whose group a person may have corrected
            rows[row.path] = replace(before, label=reply.text or "", group=before.group or row.group, model=engine.name,
                                     prompt=label, failure=reply.failure or "")  # fmt: skip
        write_rows(out, list(rows.values()))
        say(f"{start + len(batch)} of {len(waiting)} asked")
    return Counter(row.label or row.failure for row in rows.values())


def ask(engine: OpenAiEngine, files: Sequence[Path], classes: Sequence[str], tries: int) -> list[Reply]:
    """One reply for each file: a class, or why there is none; what is not of the form is asked for `tries` times at most."""
    replies = [Reply(failure=UNREADABLE)] * len(files)
    requests: dict[int, Request] = {}
    for i, file in enumerate(files):
        try:
            requests[i] = request(to_jpeg(shown_to_model(read_picture(file), LONGEST_EDGE_PX)), classes)
        except UsageError:
            continue  # its failure stands
    for attempt in range(tries):
        again = [i for i in requests if attempt == 0 or replies[i].failure in ("malformed", "length")]
        asked = engine.generate([replace(requests[i], seed=attempt) for i in again])
        for i, reply in zip(again, asked, strict=True):
            replies[i] = reply
    return replies


def request(jpeg: bytes, classes: Sequence[str]) -> Request:
    """The question about one frame: a closed set, and one flat field."""
    words = _prompt()
    listed = "\n".join(f"{name}: {CLASS_NAMES[Domain(name)]}" if name in set(Domain) else name for name in classes)
    return Request(
        system=words["system"].strip(), user=words["user"].strip().replace("{classes}", listed), max_tokens=MAX_TOKENS,
        field="label", choices=tuple(classes), picture=f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}",
    )  # fmt: skip


def prompt_hash(classes: Sequence[str]) -> str:
    """Eight hex digits over the words as asked."""
    asked = request(b"", classes)
    return hashlib.sha256(f"{asked.system}\n{asked.user}".encode()).hexdigest()[:8]


def read_rows(file: Path) -> list[Row]:
    """The CSV so far; a person's editor may have dropped columns, but not `path` and `label`.

    Raises:
        UsageError: it lacks one of these.
    """
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        if not {"path", "label"} <= set(reader.fieldnames or ()):
            raise UsageError(f"{file} needs the columns path and label.")
        own = [name for name in reader.fieldnames or () if name not in _COLUMNS]
        return [
            Row(
                **{name: (line.get(name) or "").strip() for name in _COLUMNS},
                more={name: line.get(name) or "" for name in own},
            )
            for line in reader
        ]


def write_rows(file: Path, rows: Sequence[Row]) -> None:
    """The CSV, whole or not at all."""
    text = io.StringIO()
    own = dict.fromkeys(name for row in rows for name in row.more)
    writer = csv.DictWriter(text, [*_COLUMNS, *own], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row.more, **{name: getattr(row, name) for name in _COLUMNS}} for row in rows)
    put(*filesystem(str(file)), text.getvalue().encode())


def _unlabelled(folder: Path, base: Path) -> list[Row]:
    """The folder's pictures; those of one sub-folder (a video's frames) are a group."""
    rows = []
    for file in sorted(f for f in folder.rglob("*") if is_picture(f, folder)):
        path, within = Path(os.path.relpath(file, base)).as_posix(), file.relative_to(folder)
        group = path if len(within.parts) == 1 else within.parent.as_posix()
        rows.append(Row(path=path, label="", group=group))
    return rows


def _prompt() -> dict[str, str]:
    return tomllib.loads(PROMPT.read_text(encoding="utf-8"))
