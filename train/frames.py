"""Trains the starter frame classifier's head: labelled picture folders in, a small .npz and its .json out.

A linear head on frozen EfficientNet-Lite0 features, because there are tens of pictures a domain and not thousands:
L2-regularised multinomial logistic regression over screens composed of the pictures, calibrated by temperature
(Guo et al., 2017). All screens of one picture, and of pictures that look alike, share a fold.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np

from actors.frame_classifier import BACKBONE, Backbone, backbone_hash, softmax
from pipelines.errors import UsageError
from pipelines.schema import Domain
from train.config import RunSettings
from train.frame_data import (
    HELD_OUT,
    Picture,
    difference_hash,
    folder_pictures,
    grey,
    held_out_hashes,
    is_copy,
    package_file,
    package_pictures,
    pixel_sha256,
    with_groups,
    without_copies,
)
from train.frame_head import FOLDS, Frames, Head, calibrate, cross_validate, evaluate, fit, principal_axes
from train.frame_screens import empty_screen, reduced, screen
from train.frame_synthesis import fundus, restained, tissue
from train.ray_run import Say
from train.shares import over_workers

SCREENS_PER_DRAWING = 3
Features = Callable[[Sequence[np.ndarray]], np.ndarray]
MIN_GROUPS = 4
"""A domain with fewer independent pictures is not learned."""
NONMEDICAL_WEIGHT = 4.0
"""Weight of all non-medical frames against one medical domain: nine of ten videos are not medical."""
DRAWN = {Domain.OPHTHALMOLOGY: ("drawn fundus", fundus), Domain.HISTOPATHOLOGY: ("drawn tissue", tissue)}


def run(
    data: Sequence[Path],
    out: Path,
    *,
    seed: int = 0,
    exclude_sha256: frozenset[str] = frozenset(),
    packaged: bool = True,
    screens_per_picture: int = 12,
    drawn: int = 60,
    empty_screens: int = 240,
    threads: int = 1,
    features: Features | None = None,
) -> dict[str, Any]:
    """Trains a head on the folders `data` and writes `out` (.npz) and its report beside it (.json).

    With `packaged`, the pictures inside installed packages are added; `drawn` drawings each of a fundus and of tissue
    are added where ophthalmology and histopathology are labels. Copies of the held-out pictures, and files in
    `exclude_sha256`, are left out. `features` computes those of frames, as `Backbone.features` does (the default);
    `features_over` gives one that shares them out.

    Raises:
        UsageError: the folders are not as `frame_data.folder_pictures` asks, or hold fewer than two usable domains.
    """
    import torch

    if out.suffix != ".npz":
        raise UsageError(f"The head's file must end in .npz, not '{out.name}'.")
    torch.set_num_threads(threads)
    found = [p for folder in data for p in folder_pictures(folder)] + (list(package_pictures()) if packaged else [])
    kept, left_out = _admitted(found, exclude_sha256)
    features = features or Backbone("cpu").features
    rng = np.random.default_rng(seed)
    kept += _drawn({p.domain for p in kept}, drawn, rng)
    pictures = with_groups(kept, features([p.rgb for p in kept]))
    domains = supported(pictures)
    pictures = [p for p in pictures if p.domain in domains]
    frames = compose(pictures, domains, features, rng, screens_per_picture, empty_screens)
    axes = principal_axes(frames.features)
    frames = dataclasses.replace(frames, features=frames.features @ axes)
    strength, held_out_logits = cross_validate(frames, len(domains))
    temperature = calibrate(held_out_logits, frames)
    head = fit(frames, np.arange(len(frames.labels)), len(domains), strength)
    head = Head(weights=axes @ head.weights, bias=head.bias)
    report = {
        "what": "Linear head of the starter frame classifier, for screen recordings of medical lectures.",
        "command": " ".join(["preceptor train frames", *(f"--data {d.name}" for d in data), f"--out {out.name}"]),
        "settings": {"seed": seed, "packaged": packaged, "screens_per_picture": screens_per_picture, "drawn": drawn,
                     "empty_screens": empty_screens, "inverse_regularisation": strength},
        "backbone": {"architecture": BACKBONE, "sha256": backbone_hash(), "licence": "Apache-2.0"},
        "temperature": temperature,
        "domains": [d.value for d in domains],
        "unsupported": {d.value: f"fewer than {MIN_GROUPS} independent pictures: probability 0"
                        for d in Domain if d not in domains},
        "evaluation": evaluate(softmax(held_out_logits / temperature), frames, domains),
        "pictures": [_record(p) for p in pictures],
        "drawn": {
            "pictures": "'drawn fundus' and 'drawn tissue' are procedural drawings, not real: they stand in for the "
                        "fundus photographs and antibody-stained sections that are lacking. They do not count and are "
                        "not judged. They were designed knowing, and with a view of, the fundus and the section that the "
                        "demonstration shows, and settings were compared on its frames: what it shows of these two "
                        "domains is no independent evidence. The evaluation above is, of real pictures only.",
            "stains": "Six in ten frames of real histopathology are stained anew by colour separation.",
            "screens": f"{empty_screens} text slides, charts, desktops, empty viewers, plain colours and talking heads; "
                       "faces are those of scikit-image's lfw_subset.npy.",
        },
        "left_out": left_out,
    }  # fmt: skip
    _write(out, head, temperature, domains, report)
    return report


@contextlib.contextmanager
def features_over(workers: tuple[int, int], say: Say = print, threads: int = 1) -> Iterator[Features]:
    """The backbone's features of frames, shared out over Ray Train workers: the same numbers, whoever computes them.

    The caller is connected to Ray.
    """
    settings = RunSettings(threads=threads, gpus_per_worker=0)  # the CPU computes: the same seed, the same head
    with tempfile.TemporaryDirectory(prefix="preceptor-features-") as folder:
        numbers = itertools.count()

        def features(frames: Sequence[np.ndarray]) -> np.ndarray:
            stage = f"features_{next(numbers)}"
            return over_workers(_backbone, frames, out=folder, stage=stage, workers=workers, run=settings, say=say)

        yield features


def _backbone(_device: Any) -> Features:
    return Backbone("cpu").features


def _admitted(found: Sequence[Picture], exclude_sha256: frozenset[str]) -> tuple[list[Picture], list[dict[str, str]]]:
    """The pictures that may be trained on, once each, and why the others may not."""
    held_out = held_out_hashes()
    why = {}
    for index, picture in enumerate(found):
        if picture.sha256 in exclude_sha256:
            why[index] = "excluded by its hash"
        elif is_copy(picture.rgb, held_out):
            why[index] = f"a copy of a held-out picture ({', '.join(HELD_OUT['skimage'])}, or an MNI152 slice)"
    free = [p for i, p in enumerate(found) if i not in why]
    kept = without_copies(free)
    names = {id(p) for p in kept}
    why.update({i: "a copy of another picture" for i, p in enumerate(found) if i not in why and id(p) not in names})
    return kept, [{"file": found[i].file, "sha256": found[i].sha256, "why": why[i]} for i in sorted(why)]


def _drawn(domains: Set[Domain], count: int, rng: np.random.Generator) -> list[Picture]:
    """`count` drawings of each domain that has a generator and is among `domains`; one domain's share a group."""
    pictures = []
    for domain, (name, draw) in DRAWN.items():
        for index in range(count if domain in domains else 0):
            rgb, file = draw(rng), f"{name}#{index}"
            sha256 = pixel_sha256(rgb)
            pictures.append(Picture(rgb=rgb, domain=domain, file=file, sha256=sha256, licence="Apache-2.0"))
    return pictures


def is_drawn(picture: Picture) -> bool:
    """Whether it comes from a generator of `DRAWN`."""
    return picture.file.split("#")[0] in {name for name, _ in DRAWN.values()}


def supported(pictures: Sequence[Picture]) -> tuple[Domain, ...]:
    """The domains with at least four groups of pictures, in the order of `Domain`.

    Raises:
        UsageError: fewer than two, or none of them non-medical.
    """
    groups = Counter(domain for domain, _ in {(p.domain, p.group) for p in pictures if not is_drawn(p)})
    domains = tuple(d for d in Domain if groups[d] >= MIN_GROUPS)
    if len(domains) < 2 or Domain.NONMEDICAL not in domains:
        counts = ", ".join(f"{d} {n}" for d, n in sorted(groups.items()))
        raise UsageError(
            f"At least {MIN_GROUPS} independent pictures of nonmedical and of one domain are needed: {counts}."
        )
    return domains


def compose(
    pictures: Sequence[Picture],
    domains: Sequence[Domain],
    features: Features,
    rng: np.random.Generator,
    screens_per_picture: int,
    empty_screens: int,
) -> Frames:
    """Frames of every picture, and frames without one, as features.

    Every real picture of a domain weighs the same; a domain's drawings weigh as much again as its pictures.
    """
    faces = np.load(package_file("skimage", "lfw_subset.npy"))[:100]
    screens, labels, groups, sources = [], [], [], []
    for index, picture in enumerate(pictures):
        rgb = reduced(picture.rgb)
        for _ in range(SCREENS_PER_DRAWING if is_drawn(picture) else screens_per_picture):
            stained = picture.domain is Domain.HISTOPATHOLOGY and not is_drawn(picture) and rng.random() < 0.6
            shown = restained(rgb, rng) if stained else rgb
            screens.append(screen(shown, rng, _face(faces, rng)))
            labels.append(domains.index(picture.domain))
            groups.append(picture.group)
            sources.append(index)
    for number in range(empty_screens):
        screens.append(empty_screen(rng, _face(faces, rng)))
        labels.append(domains.index(Domain.NONMEDICAL))
        groups.append(len(pictures) + number % FOLDS)
        sources.append(-1)
    label_array, source_array = np.array(labels), np.array(sources)
    judged = np.array([index < 0 or not is_drawn(pictures[index]) for index in sources])
    weights = np.zeros(len(labels))
    for index, domain in enumerate(domains):
        for kind in (judged, ~judged):
            rows = (label_array == index) & kind
            if rows.any():
                weights[rows] = (NONMEDICAL_WEIGHT if domain is Domain.NONMEDICAL else 1.0) / rows.sum()
    weights *= len(labels) / weights.sum()
    return Frames(features=features(screens), labels=label_array, groups=np.array(groups), pictures=source_array,
                  weights=weights, judged=judged)  # fmt: skip


def _face(faces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    import cv2

    small = grey(faces[rng.integers(len(faces))])
    tinted = np.clip(small * rng.uniform([0.9, 0.6, 0.4], [1.0, 0.9, 0.9]), 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(tinted, (160, 160), interpolation=cv2.INTER_CUBIC))


def _record(picture: Picture) -> dict[str, Any]:
    record = {f.name: getattr(picture, f.name) for f in dataclasses.fields(picture) if f.name != "rgb"}
    bits = np.packbits(difference_hash(picture.rgb)).tobytes().hex()
    return {**record, "domain": picture.domain.value, "pixel_sha256": picture.pixel_sha256, "difference_hash": bits}


def _write(out: Path, head: Head, temperature: float, domains: Sequence[Domain], report: dict[str, Any]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        "weights": (head.weights / temperature).astype(np.float16),
        "bias": (head.bias / temperature).astype(np.float32),
        "domains": np.array([d.value for d in domains]),
        "backbone": np.array(backbone_hash()),
    }
    np.savez(out, **arrays)  # type: ignore[arg-type]
    report["head_sha256"] = hashlib.sha256(out.read_bytes()).hexdigest()
    out.with_suffix(".json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
