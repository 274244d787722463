"""The parts of a Qwen2-VL, which of them learn, and at which rate."""

import math
from typing import Any

from train.config import LoraSettings, Pace, Rates, Stage

ADAPTED = r".*language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
"""Linear layers of the language model, by full name."""
PARTS = ("vision", "projector", "language", "embeddings")


def part(name: str) -> str:
    """The part that a parameter belongs to, by its name."""
    if "visual.merger" in name:
        return "projector"
    if "visual." in name:
        return "vision"
    return "embeddings" if "embed_tokens" in name or "lm_head" in name else "language"


def with_adapters(model: Any, lora: LoraSettings) -> Any:
    """The model with fresh adapters on its language model; as it is where the rank is 0."""
    if not lora.rank:
        return model
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=ADAPTED, task_type="CAUSAL_LM",
        bias="none",
    )  # fmt: skip
    return get_peft_model(model, config)


def freeze(model: Any, rates: Rates, lora: LoraSettings) -> None:
    """Only the parts with a rate take a gradient; with adapters, the language model's own weights never do."""
    for name, parameter in model.named_parameters():
        frozen = lora.rank and part(name) == "language" and "lora_" not in name
        parameter.requires_grad_(not frozen and getattr(rates, part(name)) > 0)


def groups(model: Any, stage: Stage) -> list[dict[str, Any]]:
    """The optimiser's groups, one a part; `peak` is the part's rate."""
    found: dict[str, list[Any]] = {name: [] for name in PARTS}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            found[part(name)].append(parameter)
    common = {"lr": 0.0, "weight_decay": stage.weight_decay}
    return [
        {**common, "params": parameters, "peak": getattr(stage.rates, name), "part": name}
        for name, parameters in found.items()
        if parameters
    ]


def schedule(step: int, total: int, pace: Pace) -> float:
    """The share of the peak rate in step `step` (from 0) of `total`: linear warm-up, then cosine to 0 or constant."""
    warm = math.ceil(pace.warmup * total)
    if step < warm:
        return (step + 1) / warm
    if pace.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))
