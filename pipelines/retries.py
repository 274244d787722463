"""Another attempt for failed rows: a new manifest row, a new row id, and readers take the highest attempt."""

import msgspec

from pipelines import dataset
from pipelines.config import Config
from pipelines.errors import UsageError
from pipelines.schema import Reason, Status
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


def again(store: Store, reason: str | None, changed: bool) -> int:
    """Ask for another attempt at failed rows (of `reason`), and at changed sources; returns how many.

    Raises:
        UsageError: an unknown reason.
    """
    if reason is not None and reason not in tuple(Reason):
        raise UsageError(f"There is no reason '{reason}'; there are {', '.join(Reason)}.")
    manifest = store.manifest()
    newest = {r["video_id"]: r for r in sorted(manifest, key=lambda r: r["attempt"])}
    added = []
    for video in dataset.rows(store.out, ("status", "reason", "content_id")):
        asked = newest.get(video.video_id)
        if asked is None or asked["attempt"] != video.attempt:
            continue  # a later attempt is already pending
        failed = video.status is Status.FAILED and (reason is None or video.reason == reason)
        if not failed and not changed:
            continue
        current = content_id(asked["uri"])
        differs = not is_same_source((asked["uri"], current), (video.uri, video.content_id))
        if failed or (changed and differs):
            item = Input(video_id=video.video_id, uri=asked["uri"], extra=asked["extra"], content_id=current)
            added.append(manifest_row(item, video.attempt + 1))
    store.save_manifest([*manifest, *added])
    return len(added)
