"""All settings of a training run: frozen dataclasses validated at birth. Recipes make them; `--set a.b=value` changes one.

Numbers marked "published" are those of OpenBiomedVid or ViDRiP-LLaVA; the others say how they were chosen.
"""

from dataclasses import dataclass, field

from pipelines.checks import at_least, one_of, positive
from pipelines.errors import UsageError
from pipelines.split import HELD_OUT_SHARE

PATCH_PX = 28
"""Side of what one visual token covers: two patches of 14."""
KINDS = ("text", "image", "video")
TASKS = ("caption", "question", "conversation")


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionSettings:
    """How large pictures and films go in."""

    image_max_tokens: int = 1280
    """Qwen2-VL's own default. Saved with the model, so that serving resizes as training did."""
    video_max_tokens: int = 16_384
    """Published: a film's frames are made smaller together until they fit."""
    fps: float = 1.0
    """Published."""
    max_frames: int = 420
    """Published: up to 420 s at 1 FPS, longer films at 420 frames spread evenly."""
    min_side_px: int = 56
    """Published."""

    def __post_init__(self) -> None:
        at_least("vision.image_max_tokens", self.image_max_tokens, 4)
        at_least("vision.video_max_tokens", self.video_max_tokens, 4)
        positive("vision.fps", self.fps)
        at_least("vision.max_frames", self.max_frames, 1)
        if self.min_side_px % PATCH_PX or self.min_side_px <= 0:
            raise UsageError(f"vision.min_side_px must be a multiple of {PATCH_PX}, not {self.min_side_px}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """From samples to packed sequences."""

    max_tokens: int = 16_384
    """Length of a packed sequence (published); a longer sample is left out, and listed with its reason."""
    packing: bool = True
    """False: one sample a sequence."""
    window: int = 1024
    """Samples, in the epoch's order, among which packs are made: memory and mixing, whatever the number of samples."""
    prefetch: int = 2
    """Sequences decoded ahead of the model."""
    threads: int = 2
    """... by this many threads in each worker."""
    held_out_share: float = HELD_OUT_SHARE
    """Of a curated dataset's videos: never learned from, so that `preceptor evaluate` may ask about them; 0 learns from all.
    LLaVA files do not say which video they come from, and are taken whole."""

    def __post_init__(self) -> None:
        at_least("data.max_tokens", self.max_tokens, 16)
        at_least("data.window", self.window, 1)
        at_least("data.prefetch", self.prefetch, 1)
        at_least("data.threads", self.threads, 1)
        if not 0 <= self.held_out_share < 1:
            raise UsageError(f"data.held_out_share must be at least 0 and below 1, not {self.held_out_share}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraSettings:
    """Low-rank adapters on every linear layer of the language model (published: rank 128, alpha 256, dropout 0.05)."""

    rank: int = 0
    """0: no adapters, the weights themselves are trained."""
    alpha: int = 256
    dropout: float = 0.05

    def __post_init__(self) -> None:
        at_least("lora.rank", self.rank, 0)
        positive("lora.alpha", self.alpha)
        if not 0 <= self.dropout < 1:
            raise UsageError(f"lora.dropout must lie between 0 and 1, not {self.dropout}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Peak learning rate of each part of the model; 0 freezes it."""

    vision: float = 0.0
    """Vision tower without its projector."""
    projector: float = 0.0
    """The merger that maps vision to words."""
    language: float = 0.0
    """Decoder layers; with LoRA, its adapters instead."""
    embeddings: float = 0.0
    """Token embeddings and output head (published: frozen)."""

    def __post_init__(self) -> None:
        for name in ("vision", "projector", "language", "embeddings"):
            at_least(f"rates.{name}", getattr(self, name), 0.0)
        if self.vision == self.projector == self.language == self.embeddings == 0:
            raise UsageError("At least one of a stage's rates must be greater than 0, or it trains nothing.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long a stretch of training is, and how it steps."""

    epochs: int = 1
    """0 leaves the stage out."""
    max_steps: int | None = None
    """Ends the stage early."""
    batch_packs: int = 64
    """Packs (packed sequences, or pictures taken together) an optimiser step, over all workers (published: 8 GPUs x 8)."""
    warmup: float = 0.1
    """Share of the steps (published)."""
    schedule: str = "cosine"
    """`cosine` (published) or `constant`."""
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        at_least("epochs", self.epochs, 0)
        if self.max_steps is not None:
            at_least("max_steps", self.max_steps, 1)
        at_least("batch_packs", self.batch_packs, 1)
        one_of("schedule", self.schedule, ("cosine", "constant"))
        if not 0 <= self.warmup < 1:
            raise UsageError(f"warmup must lie between 0 and 1, not {self.warmup}.")
        at_least("weight_decay", self.weight_decay, 0)
        positive("max_grad_norm", self.max_grad_norm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage(Pace):
    """One stretch of training: which samples, which parts at which rate, for how long."""

    kinds: tuple[str, ...] = KINDS
    """Samples with these media."""
    tasks: tuple[str, ...] = TASKS
    """Samples of these tasks: captions of a curated dataset's clips, questions about them, the items of LLaVA files."""
    rates: Rates = Rates(vision=1e-5, projector=1e-5, language=1e-5)
    lora: LoraSettings = LoraSettings()
    weights: dict[str, float] = field(default_factory=dict)
    """How often an epoch sees each sample of a source, by the source's name: 1 is once, 0.5 every second, 2 twice."""

    def __post_init__(self) -> None:
        Pace.__post_init__(self)
        if not self.kinds:
            raise UsageError("A stage's kinds must name at least one of text, image, video.")
        for kind in self.kinds:
            one_of("kinds", kind, KINDS)
        if not self.tasks:
            raise UsageError("A stage's tasks must name at least one of caption, question, conversation.")
        for task in self.tasks:
            one_of("tasks", task, TASKS)
        for name, weight in self.weights.items():
            at_least(f"weights.{name}", weight, 0)
        if self.lora.rank and (self.rates.language <= 0 or self.rates.embeddings > 0):
            raise UsageError("A stage with lora.rank needs rates.language above 0 (its adapters') and rates.embeddings 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """Where and how it computes; nothing here changes what is learned beyond rounding, but for batch normalisation's running
    statistics: of several workers they are the first one's."""

    parallel: str = "ddp"
    """`ddp` (the model on every worker) or `fsdp` (FSDP2: parameters, gradients and optimiser sharded)."""
    precision: str = "auto"
    """`auto`: bf16 where a GPU has it, else float32. Weights and optimiser are float32 in either case."""
    attention: str = "auto"
    """`auto`: `flash` (FlashAttention-2, as PyTorch ships it) on a GPU of Ampere or later with bf16, else `sdpa`."""
    liger: bool = True
    """Liger kernels, where installed and on a GPU."""
    compile: bool = False
    """PyTorch's compiler on every layer: the first step takes half a minute or more longer, the others a third less."""
    gradient_checkpointing: bool = True
    checkpoint_every_steps: int = 100
    """Published."""
    keep_checkpoints: int = 2
    max_failures: int = 3
    """Workers lost before the run gives up."""
    threads: int = 0
    """CPU threads of each worker's arithmetic; 0 shares the machine among its workers."""
    cpus_per_worker: float = 1.0
    gpus_per_worker: float = 1.0
    """Where the cluster has GPUs; 0 leaves them alone."""

    def __post_init__(self) -> None:
        one_of("run.parallel", self.parallel, ("ddp", "fsdp"))
        one_of("run.precision", self.precision, ("auto", "float32", "bf16"))
        one_of("run.attention", self.attention, ("auto", "sdpa", "flash"))
        at_least("run.checkpoint_every_steps", self.checkpoint_every_steps, 1)
        at_least("run.keep_checkpoints", self.keep_checkpoints, 1)
        at_least("run.max_failures", self.max_failures, 0)
        at_least("run.threads", self.threads, 0)
        positive("run.cpus_per_worker", self.cpus_per_worker)
        at_least("run.gpus_per_worker", self.gpus_per_worker, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A whole run."""

    recipe: str
    model: str = "starter"
    """`starter`, a folder, or a hub name of the Qwen2-VL family."""
    seed: int = 42
    """Published."""
    stages: dict[str, Stage]
    """In the order in which they run."""
    vision: VisionSettings = VisionSettings()
    data: DataSettings = DataSettings()
    run: RunSettings = RunSettings()

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)
        if not any(stage.epochs for stage in self.stages.values()):
            raise UsageError("At least one stage must have epochs above 0.")
        for name in self.stages:
            if not name.isidentifier():
                raise UsageError(f"A stage's name is a folder's: letters, digits, underscores; not '{name}'.")
