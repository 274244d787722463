"""Settings of a whole frame classifier's fine-tuning, and the published recipes for it.

Numbers marked "published" are those of OpenBiomedVid (SigLIP) or MedicalNarratives (ResNet-50, ViT-S); neither released its
training code, so what they do not state is ours and says so.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.checks import at_least, one_of, positive, share
from pipelines.config import ScreenSettings
from pipelines.errors import UsageError
from pipelines.split import HELD_OUT_SHARE
from train.config import Pace, RunSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSettings:
    """How weights move. All of the model's learn at one rate."""

    kind: str = "adamw"
    """`adamw`, or `sgd` with momentum 0.9 (published for ResNet-50 and ViT-S)."""
    rate: float = 2e-5
    """At the peak of `pace.schedule`."""
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        one_of("optimizer.kind", self.kind, ("adamw", "sgd"))
        positive("optimizer.rate", self.rate)
        share("optimizer.label_smoothing", self.label_smoothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameData:
    """From labelled pictures to batches."""

    pack_pictures: int = 16
    """Pictures that go through the model together (published: the batch of one GPU); `pace.batch_packs` of these a step."""
    balance: str = "sampling"
    """Against rare classes drowning: `sampling` (an epoch shows every class equally often), `loss` (every picture once, and
    a rare class's loss weighs more) or `none`."""
    held_out_share: float = HELD_OUT_SHARE
    """Of each class's groups (source pictures or videos): never learned from, what the report is measured on."""
    longest_edge_px: int = ScreenSettings().longest_edge_px
    """Pictures are made this small first, because `curate` shows its frames so small (`screen.longest_edge_px`)."""
    crop_least: float = 1.0
    """Random crops of at least this share of the area, back to the model's size; 1 crops nothing."""
    flip: bool = False
    """Half of the pictures mirrored."""
    screens: float = 0.0
    """Share of the pictures shown as a screen recording would (in a viewer, on a slide): for labels of bare pictures."""
    prefetch: int = 2
    """Packs decoded ahead of the model."""
    threads: int = 2
    """... by this many threads in each worker."""

    def __post_init__(self) -> None:
        at_least("data.pack_pictures", self.pack_pictures, 1)
        one_of("data.balance", self.balance, ("sampling", "loss", "none"))
        at_least("data.longest_edge_px", self.longest_edge_px, 16)
        at_least("data.prefetch", self.prefetch, 1)
        at_least("data.threads", self.threads, 1)
        share("data.screens", self.screens)
        share("data.crop_least", self.crop_least)
        if not 0 < self.held_out_share < 1 or not self.crop_least:
            raise UsageError("data.held_out_share must lie between 0 and 1, and data.crop_least be above 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameConfig:
    """A whole run."""

    recipe: str
    model: str
    """A folder, or a hub name of anything that `AutoModelForImageClassification` loads."""
    seed: int = 42
    pace: Pace
    optimizer: OptimizerSettings = OptimizerSettings()
    data: FrameData = FrameData()
    run: RunSettings = RunSettings(gradient_checkpointing=False, liger=False)

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)
        at_least("pace.epochs", self.pace.epochs, 1)
        one_of("run.attention", self.run.attention, ("auto", "sdpa"))
        if self.run.parallel != "ddp" or self.run.liger or self.run.compile or self.run.gradient_checkpointing:
            raise UsageError("A frame classifier fits every worker whole: run.parallel is ddp, run.liger, run.compile and "
                             "run.gradient_checkpointing are False.")  # fmt: skip


def siglip() -> FrameConfig:
    """OpenBiomedVid's: SigLIP-base at 224 px. Only the model is published; the rest is customary for it."""
    return FrameConfig(
        recipe="siglip",
        model="google/siglip-base-patch16-224",
        pace=Pace(epochs=5, batch_packs=4, warmup=0.1, weight_decay=0.01),
        data=FrameData(crop_least=0.8),
    )


def vit() -> FrameConfig:
    """MedicalNarratives' ViT-Small (DINO): 4 GPUs x 32 pictures, 100 epochs, SGD from 1e-3 by a cosine (published).

    Theirs saw 384 px and classified the last four layers' CLS tokens; this one keeps the model's own size and head.
    """
    return FrameConfig(
        recipe="vit",
        model="facebook/dino-vits16",
        pace=Pace(epochs=100, batch_packs=4, warmup=0.0),
        optimizer=OptimizerSettings(kind="sgd", rate=1e-3),
        data=FrameData(pack_pictures=32, crop_least=0.98, flip=True),
    )


def resnet() -> FrameConfig:
    """MedicalNarratives' ResNet-50: 4 GPUs x 256 pictures, 10 epochs, SGD at 1e-2, weight decay 1e-4 (published).

    No schedule is published for it, so the rate is constant; the crops are RandomResizedCrop's own, 0.08 and more.
    """
    return FrameConfig(
        recipe="resnet",
        model="microsoft/resnet-50",
        pace=Pace(epochs=10, batch_packs=4, warmup=0.0, schedule="constant", weight_decay=1e-4),
        optimizer=OptimizerSettings(kind="sgd", rate=1e-2),
        data=FrameData(pack_pictures=256, crop_least=0.08),
    )


RECIPES: dict[str, Callable[[], FrameConfig]] = {"siglip": siglip, "vit": vit, "resnet": resnet}


def recipe(name: str) -> FrameConfig:
    """The run called `name`.

    Raises:
        UsageError: naming the recipes there are.
    """
    if name not in RECIPES:
        raise UsageError(f"There is no recipe '{name}' for a frame classifier; there are {', '.join(RECIPES)}.")
    return RECIPES[name]()
