"""Proof that nothing is lost: inputs = ok + rejected + failed, every row once, every picture what its id says.

Also what can be counted about the texts: fallbacks, failures, corrections, who decided.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipelines import dataset
from pipelines.digest import Digest, referenced_images
from pipelines.errors import UsageError
from pipelines.instruct_audit import TurnsAudit
from pipelines.schema import Clip, Status, Video

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the files of a dataset say about themselves."""

    inputs: int
    """Videos in the manifest."""
    ok: int
    rejected: int
    failed: int
    missing: tuple[str, ...]
    """Requested row ids (`video_id#attempt`) without a committed row."""
    duplicates: tuple[str, ...]
    """Row ids that were committed more than once."""
    unknown: tuple[str, ...]
    """Committed row ids that nobody asked for."""
    broken_images: tuple[str, ...]
    """`video_id: what is wrong`: pictures that are absent, or whose bytes do not hash to their id."""
    broken_links: tuple[str, ...]
    """`clip_id: what is wrong`: episodes or links that name a picture or an episode which their clip does not have."""
    orphans: tuple[str, ...]
    """Video ids of files of pictures without a committed row."""
    unexplained_orphans: tuple[str, ...]
    """Those that are not work in flight: their video is not missing either."""
    unreadable: tuple[str, ...]
    """Files that cannot be read, with the reader's words."""
    clips: int
    pointing: int
    """Clips with pointing episodes."""
    linked: int
    """Clips with sentences tied to their pictures."""
    digest: str
    turns: int = 0
    """Questions and answers about the clips."""
    broken_turns: tuple[str, ...] = ()
    """Turns without their clip, ids that two turns have, and files that lost turns."""

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence for each law that does not hold; empty for a sound dataset."""
        found: list[str] = []
        if self.inputs != self.ok + self.rejected + self.failed:
            found.append(
                f"{self.inputs} inputs, but {self.ok} ok + {self.rejected} rejected + {self.failed} failed"
                f" = {self.ok + self.rejected + self.failed} rows."
            )
        for what, ids in (
            ("requested but not committed (run the same command again)", self.missing),
            ("committed more than once", self.duplicates),
            ("committed but not in the manifest", self.unknown),
            ("broken pictures (`preceptor retry DIR --broken` makes them anew)", self.broken_images),
            ("episodes or links without their picture or episode", self.broken_links),
            ("pictures of videos without a row", self.unexplained_orphans),
            ("unreadable files", self.unreadable),
            ("things wrong with questions and answers", self.broken_turns),
        ):
            if ids:
                found.append(f"{len(ids)} {what}: {_some(ids)}.")
        return tuple(found)

    @property
    def sound(self) -> bool:
        """Whether every law holds (`ok` counts rows)."""
        return not self.problems

    def lines(self) -> Iterator[str]:
        """The audit as text."""
        yield f"inputs {self.inputs} = ok {self.ok} + rejected {self.rejected} + failed {self.failed}"
        explained = sorted(set(self.orphans) - set(self.unexplained_orphans))
        if explained:
            yield f"{len(explained)} files of pictures of videos still to be done: {_some(explained)}"
        yield f"clips {self.clips}: {self.pointing} with pointing episodes, {self.linked} with sentences tied to pictures"
        if self.turns:
            yield f"turns {self.turns}: questions and answers about the clips"
        yield f"digest {self.digest}"
        yield from (f"PROBLEM {p}" for p in self.problems)
        if self.sound:
            yield "every input is accounted for, every row is there once, every picture matches its id"


def printable(text: str) -> str:
    """A stranger's words for a terminal: what would move its cursor, or begin a line of its own, is shown as written."""
    return text if text.isprintable() else ascii(text)[1:-1]


def _some(ids: Iterable[str]) -> str:
    names = list(ids)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(printable, names[:_SHOWN])) + more


def audit(out: str) -> Audit:
    """Read every row and every picture of the dataset and check the laws; nothing is changed.

    Raises:
        UsageError: there is no dataset at `out`.
    """
    requested = {r.row_id: r.video_id for r in dataset.manifest(out)}
    committed: Counter[str] = Counter()
    newest: dict[str, int] = {}
    unreadable: dict[str, str] = {}
    for path in dataset.video_files(out):
        try:
            for video in dataset.read_videos(out, path, ()):
                committed[video.row_id] += 1
                newest[video.video_id] = max(video.attempt, newest.get(video.video_id, 0))
        except UsageError as error:
            unreadable[path] = str(error)

    statuses: Counter[Status] = Counter()
    broken: list[str] = []
    unlinked: list[str] = []
    count: Counter[str] = Counter()
    whole, turns = Digest(), TurnsAudit(out)
    for path in dataset.video_files(out):
        try:
            for video in dataset.read_videos(out, path):
                if video.attempt != newest.get(video.video_id):
                    continue
                statuses[video.status] += 1
                for clip in video.clips:
                    unlinked += (f"{clip.clip_id}: {wrong}" for wrong in _wrong_indices(clip))
                    count.update(clips=1, pointing=int(bool(clip.episodes)), linked=int(bool(clip.links)))
                whole.add(video, check_images(out, video, broken))
                turns.add(video.video_id, video.row_id, video.status, video.clips)
        except UsageError as error:
            unreadable[path] = str(error)

    missing = [row_id for row_id in requested if row_id not in committed]
    waiting = {requested[row_id] for row_id in missing}
    orphans = sorted(video_id for video_id in dataset.image_files(out) if video_id not in newest)
    return Audit(
        inputs=len(set(requested.values())),
        ok=statuses[Status.OK],
        rejected=statuses[Status.REJECTED],
        failed=statuses[Status.FAILED],
        missing=tuple(sorted(missing)),
        duplicates=tuple(sorted(row_id for row_id, count in committed.items() if count > 1)),
        unknown=tuple(sorted(row_id for row_id in committed if row_id not in requested)),
        broken_images=tuple(sorted(broken)),
        broken_links=tuple(sorted(unlinked)),
        orphans=tuple(orphans),
        unexplained_orphans=tuple(o for o in orphans if o not in waiting),
        unreadable=tuple(unreadable[path] for path in sorted(unreadable)),
        clips=count["clips"],
        pointing=count["pointing"],
        linked=count["linked"],
        digest=whole.hexdigest(),
        turns=turns.turns,
        broken_turns=turns.finish(),
    )


def check_images(out: str, video: Video, broken: list[str]) -> frozenset[str]:
    """The ids of the video's stored pictures; what is wrong with them is added to `broken`."""
    stored: set[str] = set()
    try:
        for image in dataset.each_image(out, video.video_id):
            stored.add(image.image_id)
            if hashlib.sha256(image.data).hexdigest() != image.image_id:
                broken.append(f"{video.video_id}: {image.image_id[:12]} has other bytes")
            if image.video_id != video.video_id:
                broken.append(f"{video.video_id}: {image.image_id[:12]} belongs to {image.video_id}")
    except UsageError as error:
        broken.append(f"{video.video_id}: {error}")
        return frozenset()
    shown = {picture.image_id for clip in video.clips for picture in clip.pictures}
    for image_id in sorted((referenced_images(video) | shown) - stored):
        broken.append(f"{video.video_id}: {image_id[:12]} is not stored")
    return frozenset(stored)


def _wrong_indices(clip: Clip) -> Iterator[str]:
    """What the clip's episodes and links name and the clip does not have."""
    for number, episode in enumerate(clip.episodes):
        if not 0 <= episode.picture < len(clip.pictures):
            yield f"episode {number} is of picture {episode.picture}"
    for number, link in enumerate(clip.links):
        if not 0 <= link.picture < len(clip.pictures):
            yield f"link {number} is to picture {link.picture}"
        if link.episode is not None and not 0 <= link.episode < len(clip.episodes):
            yield f"link {number} is to episode {link.episode}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextQuality:
    """How far the texts of a dataset can be trusted, as counts."""

    clips: int
    pictures: int
    """Clips with a picture."""
    traces: int
    """Clips with a cursor trace."""
    pointing: int
    """Clips with pointing episodes."""
    episodes: int
    """All of them."""
    linked: int
    """Clips with sentences tied to their pictures."""
    sentences: int
    """Those sentences, each once a clip."""
    captions: int
    """Clips that have a caption, whoever wrote it."""
    fallbacks: int
    """Captions that are the corrected transcript because the model's text did not pass."""
    failures: tuple[tuple[str, str, int], ...]
    """Field, why the model's text was not taken, how often."""
    corrections: tuple[tuple[str, int, int], ...]
    """Kind (`conditioned`: flagged by the checker), proposed, verified in the vocabulary and therefore applied."""
    deciders: tuple[tuple[str, str, int], ...]
    """Field, who decided, how often."""
    domains: tuple[tuple[str, int], ...]
    models: tuple[tuple[str, str], ...]
    """Role and model, as the rows name them."""
    prompts: tuple[str, ...]

    @property
    def fallback_share(self) -> float | None:
        """Of the captions; None without captions."""
        return self.fallbacks / self.captions if self.captions else None


def text_quality(videos: Iterable[Video]) -> TextQuality:
    """Counts over the clips of `videos`."""
    count: Counter[str] = Counter()
    failures: Counter[tuple[str, str]] = Counter()
    proposed: Counter[str] = Counter()
    verified: Counter[str] = Counter()
    deciders: Counter[tuple[str, str]] = Counter()
    domains: Counter[str] = Counter()
    models: set[tuple[str, str]] = set()
    prompts: set[str] = set()
    for video in videos:
        made_by = (("frame classes", video.classifier), ("transcript", video.transcriber))
        models |= {(role, model) for role, model in made_by if model and video.clips}
        for clip in video.clips:
            domains[clip.domain.value] += 1
            count["clips"] += 1
            count["pictures"] += clip.image_id is not None
            count["traces"] += bool(clip.trace)
            count["pointing"] += bool(clip.episodes)
            count["episodes"] += len(clip.episodes)
            count["linked"] += bool(clip.links)
            count["sentences"] += len({(link.start_s, link.end_s, link.text) for link in clip.links})
            if clip.caption is not None and clip.caption.text is not None:
                count["captions"] += 1
                count["fallbacks"] += clip.caption.source != "model"
            for name in ("caption", "medical_text", "roi_text"):
                if (text := getattr(clip, name)) is not None:
                    models.add((name, text.model))
                    prompts.add(text.prompt)
                    if text.failure is not None:
                        failures[name, text.failure] += 1
            for name in ("relevant", "modality", "region"):
                if (choice := getattr(clip, name)) is not None:
                    deciders[name, choice.decided_by] += 1
            for correction in clip.corrections:
                proposed[correction.kind] += 1
                verified[correction.kind] += correction.verified
    return TextQuality(
        clips=count["clips"],
        pictures=count["pictures"],
        traces=count["traces"],
        pointing=count["pointing"],
        episodes=count["episodes"],
        linked=count["linked"],
        sentences=count["sentences"],
        captions=count["captions"],
        fallbacks=count["fallbacks"],
        failures=tuple((*key, n) for key, n in sorted(failures.items())),
        corrections=tuple((kind, n, verified[kind]) for kind, n in sorted(proposed.items())),
        deciders=tuple((*key, n) for key, n in sorted(deciders.items())),
        domains=tuple(sorted(domains.items(), key=lambda i: (-i[1], i[0]))),
        models=tuple(sorted(models)),
        prompts=tuple(sorted(prompts)),
    )
