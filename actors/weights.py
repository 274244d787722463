"""The identity of weights: part of every fingerprint, so that another model can never continue a dataset unseen."""

import hashlib
from pathlib import Path

from pipelines.errors import EnvironmentFault


def resolve(source: str) -> Path | str:
    """A folder of weights: the source itself, or its snapshot in the local Hugging Face cache; else the bare name."""
    if Path(source).exists():
        return Path(source)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source.removeprefix("hf-hub:"), local_files_only=True))
    except (LocalEntryNotFoundError, ValueError):
        return source


def hash_folder(source: Path | str) -> str:
    """SHA-256 over the names and bytes of a file or folder; for weights of the hub, their commit.

    A snapshot's folder is named after its commit, and the hub is asked for the commit of a name that is not on this
    machine yet: the identity is the same before and after the download. A name that is none of the hub's, or any name
    where HF_HUB_OFFLINE is set, stands for itself.

    Raises:
        EnvironmentFault: the hub does not say; another identity tomorrow would not continue today's dataset.
    """
    if isinstance(source, str):
        return _begun(source) or _commit(source) or f"name:{source}"
    if source.parent.name == "snapshots":
        return source.name
    digest = hashlib.sha256()
    for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.name.encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _begun(name: str) -> str | None:
    """The commit of a snapshot of which not every file is here: who loads weights leaves a readme where it is."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import IncompleteSnapshotError, LocalEntryNotFoundError

    try:
        snapshot_download(name.removeprefix("hf-hub:"), local_files_only=True)
    except IncompleteSnapshotError as error:
        return Path(error.snapshot_path).name
    except (LocalEntryNotFoundError, ValueError):
        return None
    return None


def _commit(name: str) -> str | None:
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        return HfApi().model_info(name.removeprefix("hf-hub:"), timeout=20).sha
    except (HFValidationError, OfflineModeIsEnabled):
        return None
    except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EnvironmentFault(f"The model {name} is not on this machine, and the hub says: {words}") from error
