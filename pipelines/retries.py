"""Another attempt for failed rows: a new manifest row, a new row id, and readers take the highest attempt."""

import msgspec

from pipelines import dataset
from pipelines.audit import check_images
from pipelines.config import Config
from pipelines.errors import UsageError
from pipelines.schema import Reason, Status, Video
from pipelines.settings import with_settings
from pipelines.sources import Input, content_id, is_same_source
from pipelines.store import Store, manifest_row


def saved_config(out: str, settings: list[str]) -> Config:
    """The configuration that made the dataset, with other resources if asked.

    Raises:
        UsageError: no dataset there, or a setting that would change rows.
    """
    config = msgspec.convert(dataset.settings(out).config, Config)
    for assignment in settings:
        if not assignment.startswith("resources."):
            raise UsageError(f"A retry keeps the dataset's configuration; '{assignment}' is not under resources.")
    return with_settings(config, settings)


def was_screened(out: str) -> bool:
    """Whether the dataset holds only the screen's verdicts."""
    return dataset.settings(out).settings.get("pass") == "screen"


def again(store: Store, reason: str | None, *, changed: bool = False, broken: bool = False) -> int:
    """Ask for another attempt at failed rows (of `reason`), changed sources, and rows of broken pictures; returns how many.

    Raises:
        UsageError: an unknown reason, or one that is a decision and no fault.
    """
    faults = [r for r in Reason if r.status is Status.FAILED]
    if reason is not None and reason not in faults:
        what = "is a decision, not a fault" if reason in tuple(Reason) else "does not exist"
        raise UsageError(f"The reason '{reason}' {what}; faults are {', '.join(faults)}.")
    manifest = store.manifest()
    newest = {r["video_id"]: r for r in sorted(manifest, key=lambda r: r["attempt"])}
    added = []
    for video in dataset.rows(store.out) if broken else dataset.rows(store.out, ("status", "reason", "content_id")):
        asked = newest.get(video.video_id)
        if asked is None or asked["attempt"] != video.attempt:
            continue  # a later attempt is already pending
        failed = video.status is Status.FAILED and (reason is None or video.reason == reason)
        wanted = failed or (broken and _is_broken(store.out, video))
        if not wanted and not changed:
            continue
        current = content_id(asked["uri"])
        differs = not is_same_source((asked["uri"], current), (video.uri, video.content_id))
        if wanted or differs:
            item = Input(video_id=video.video_id, uri=asked["uri"], extra=asked["extra"], content_id=current)
            added.append(manifest_row(item, video.attempt + 1))
    store.save_manifest([*manifest, *added])
    return len(added)


def _is_broken(out: str, video: Video) -> bool:
    found: list[str] = []
    check_images(out, video, found)
    return bool(found)
