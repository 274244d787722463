"""A whole image classifier as it is loaded: its processor, its weights, and a head of the classes that are wanted."""

import copy
from pathlib import Path
from typing import Any

from pipelines.errors import EnvironmentFault, UsageError


def load_processor(folder: str) -> Any:
    """The model's own image processor: what training sees is what `curate` will show.

    Raises:
        UsageError: it has none.
        EnvironmentFault: it is not on this machine and cannot be fetched.
    """
    from transformers import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise _not_loaded(folder, error) from error


def load(folder: str, labels: tuple[str, ...], seed: int) -> Any:
    """The classifier in float32 on the CPU. A head of these classes is kept, each under its own name; another is made anew,
    the same on every worker.

    Raises:
        UsageError: it is no image classifier, nor anything that one can be made of.
        EnvironmentFault: it is not on this machine and cannot be fetched.
    """
    import torch
    from transformers import AutoConfig, AutoModelForImageClassification

    names = dict(enumerate(labels))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            known = AutoConfig.from_pretrained(folder).id2label
            model = AutoModelForImageClassification.from_pretrained(
                folder, num_labels=len(labels), id2label=names, label2id={n: i for i, n in names.items()},
                ignore_mismatched_sizes=True, dtype=torch.float32,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            raise _not_loaded(folder, error) from error
        _rename(model, tuple(known[i] for i in sorted(known)), labels)
    return model


def _rename(model: Any, known: tuple[str, ...], labels: tuple[str, ...]) -> None:
    """Put the head's rows in the classes' order; those of as many other classes are drawn anew."""
    import torch
    from transformers import AutoModelForImageClassification

    if known == labels or len(known) != len(labels):  # of another size it is new already
        return
    shapes = []
    for extra in (0, 1):
        config = copy.deepcopy(model.config)
        config.num_labels = len(labels) + extra
        with torch.device("meta"):
            drawn = AutoModelForImageClassification.from_config(config).state_dict()
        shapes.append({name: tensor.shape for name, tensor in drawn.items()})
    own = model.state_dict()
    fresh = AutoModelForImageClassification.from_config(model.config).state_dict()
    is_same = set(known) == set(labels)
    order = [known.index(label) for label in labels] if is_same else []
    with torch.no_grad():
        for name in (n for n, shape in shapes[0].items() if shapes[1][n] != shape):
            own[name].copy_(own[name][order].clone() if is_same else fresh[name])


def _not_loaded(folder: str, error: Exception) -> UsageError | EnvironmentFault:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if isinstance(error, ValueError) or Path(folder).is_dir():
        return UsageError(f"{folder} is no image classifier that can be trained: {said}")
    return EnvironmentFault(f"The model {folder} is not on this machine and cannot be fetched: {said}")
