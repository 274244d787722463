"""The settings of `preceptor instruct`. Text engine and pool are the dataset's own unless a recipe is named."""

from dataclasses import dataclass, field

from pipelines.checks import one_of, share
from pipelines.config import Config, TextSettings
from pipelines.errors import UsageError
from pipelines.resources import Pool

TEMPLATES = ("modality", "place", "pointed", "finding")
"""Made from what the row knows, without a text model (`pipelines.stages.templates`)."""
GENERATED = ("qa", "description", "conversation", "detail", "reasoning", "iterative")
"""Written by an admitted text model (`actors.families`)."""
FAMILIES = (*TEMPLATES, *GENERATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """ViDRiP's quality gate, and how many turns the families have."""

    min_quality: int = 3
    """Published: a text rated 3 or more of 5 is kept; below, the second round asks for a concise one."""
    turns: int = 3
    """Of `qa` and `conversation`, each. OpenBiomedVid has 3.5 a clip, Quilt 3 to 4."""
    long_share: float = 0.15
    """Share of `iterative` dialogues with three exchanges; the others have two (published)."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_quality <= 5:
            raise UsageError(f"gate.min_quality must lie between 0 and 5, not {self.min_quality}.")
        if not 1 <= self.turns <= 10:
            raise UsageError(f"gate.turns must lie between 1 and 10, not {self.turns}.")
        share("gate.long_share", self.long_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructResources:
    """Where and how fast: changes no row."""

    instruct: Pool = Pool()
    gpu_memory_share: float = 0.5
    max_actor_deaths: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructConfig:
    """A whole run of `preceptor instruct`."""

    recipe: str
    families: tuple[str, ...] = FAMILIES
    seed: int = 0
    """Of the order of options and of the wording."""
    gate: GateSettings = GateSettings()
    text: TextSettings = field(default_factory=TextSettings)
    resources: InstructResources = InstructResources()

    def __post_init__(self) -> None:
        if not self.families:
            raise UsageError(f"families must name at least one of {', '.join(FAMILIES)}.")
        for family in self.families:
            one_of("families", family, FAMILIES)

    @property
    def generated(self) -> tuple[str, ...]:
        """The families that need a text model."""
        return tuple(f for f in GENERATED if f in self.families)


def from_curation(config: Config) -> InstructConfig:
    """The text model and the pool that wrote a dataset's captions, with the default families."""
    resources = InstructResources(
        instruct=config.resources.write,
        gpu_memory_share=config.resources.gpu_memory_share,
        max_actor_deaths=config.resources.max_actor_deaths,
    )
    return InstructConfig(recipe=config.recipe, text=config.text, resources=resources)
