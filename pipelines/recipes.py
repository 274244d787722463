"""Complete configurations by name: the small packaged models on a CPU, and the papers' models on GPUs."""

from collections.abc import Callable

from pipelines.config import ClassifierSettings, Config, TextSettings, TranscriptSettings
from pipelines.errors import UsageError
from pipelines.resources import Pool, Resources


def starter() -> Config:
    """Everything offline on two cores: packaged models, one actor a stage.

    The fractions add up to less than the logical CPUs that `cluster.connect` starts a local cluster with, so that every
    actor, the reader, Ray's checkpoint filter and the writer can be placed at once.
    """
    return Config(
        recipe="starter",
        resources=Resources(
            screen=Pool(num_cpus=0.5),
            classify=Pool(num_cpus=0.5, threads=1),
            look=Pool(num_cpus=0.5),
            listen=Pool(num_cpus=0.5, threads=2),
            write=Pool(num_cpus=0.5, threads=1, concurrent_rows=16),
        ),
    )


def hub() -> Config:
    """The published systems' models on GPUs: BiomedCLIP zero-shot, Whisper large-v3, Qwen2.5-7B-Instruct.

    On one 80 GB GPU the classifiers, Whisper and vLLM share it by fractions (2 x 0.1 + 0.2 + 0.6 = 1); on more GPUs the
    pools grow.
    """
    return Config(
        recipe="hub",
        classifier=ClassifierSettings(
            kind="open_clip", model="hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"
        ),
        transcript=TranscriptSettings(model="large-v3", task="translate", language=None, compute_type="float16"),
        text=TextSettings(model="Qwen/Qwen2.5-7B-Instruct", dtype="bfloat16", max_model_len=8192, max_text_chars=2000),
        resources=Resources(
            screen=Pool(min_size=1, max_size=64, num_cpus=1.0),
            classify=Pool(min_size=1, max_size=4, num_cpus=1.0, num_gpus=0.1),
            look=Pool(min_size=1, max_size=64, num_cpus=1.0),
            listen=Pool(min_size=1, max_size=8, num_cpus=1.0, num_gpus=0.2),
            write=Pool(min_size=1, max_size=4, num_cpus=1.0, num_gpus=0.6, concurrent_rows=64),
            device="cuda",
            gpu_memory_share=0.55,
        ),
    )


RECIPES: dict[str, Callable[[], Config]] = {"starter": starter, "hub": hub}


def recipe(name: str) -> Config:
    """The configuration called `name`.

    Raises:
        UsageError: naming the recipes there are.
    """
    if name not in RECIPES:
        raise UsageError(f"There is no recipe '{name}'; there are {', '.join(RECIPES)}.")
    return RECIPES[name]()
