"""Training a head: what is admitted, how pictures are grouped, and a tiny run from folders to a classifier."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from actors.frame_classifier import DOMAINS, FrameClassifier, softmax
from pipelines.config import ClassifierSettings
from pipelines.errors import UsageError
from pipelines.schema import Domain
from train.frame_data import (
    Picture,
    difference_hash,
    folder_pictures,
    is_copy,
    package_file,
    package_pictures,
    read_picture,
    with_groups,
    without_copies,
)
from train.frame_head import Frames, calibrate, cross_validate, evaluate, fit
from train.frame_screens import empty_screen, screen
from train.frame_synthesis import fundus, restained, tissue
from train.frames import run, supported


def stripes(seed: int, *, red: bool) -> np.ndarray:
    """A picture of one of two obvious kinds, otherwise varied: red discs, or blue squares."""
    import cv2

    rng = np.random.default_rng(seed)
    paper = int(rng.integers(40, 250))
    picture = np.full((int(rng.integers(70, 140)), int(rng.integers(70, 140)), 3), paper, np.uint8)
    height, width = picture.shape[:2]
    radius = int(rng.integers(4, 24))
    for _ in range(int(rng.integers(3, 30))):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        shade = int(rng.integers(0, 60))
        if red:
            cv2.circle(picture, (x, y), radius, (230 - shade, 20, shade), -1)
        else:
            cv2.rectangle(picture, (x, y), (x + radius, y + radius), (shade, 60, 230 - shade), -1)
    return picture


def write(path: Path, rgb: np.ndarray) -> Path:
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return path


def picture(domain: Domain, seed: int, *, file: str = "", group: int = -1) -> Picture:
    rgb = stripes(seed, red=domain is not Domain.NONMEDICAL)
    name = file or f"{domain}/{seed}.png"
    return Picture(rgb=rgb, domain=domain, file=name, sha256=str(seed), licence="-", group=group)


def toy(rng: np.random.Generator, groups: int = 12) -> Frames:
    labels = np.repeat([0, 1], 60)
    features = rng.normal(size=(120, 8)) + np.where(labels[:, None] == 0, 1.0, -1.0) * (np.arange(8) < 2)
    group = np.concatenate([np.arange(60) % groups, groups + np.arange(60) % groups])
    return frames_of(features, labels, group)


def frames_of(features: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Frames:
    ones = np.ones(len(labels))
    return Frames(features=features, labels=labels, groups=groups, pictures=groups, weights=ones, judged=ones > 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for seed in range(5):
        write(root / "histopathology" / f"{seed}.png", stripes(seed, red=True))
        write(root / "nonmedical" / f"{seed}.png", stripes(50 + seed, red=False))
    write(root / "surgery" / "0.png", stripes(90, red=True))
    write(root / "nonmedical" / "copy.jpg", stripes(50, red=False))
    write(root / "histopathology" / "tissue.png", read_picture(package_file("skimage", "ihc.png"))[::2, ::2])
    (root / "MANIFEST.csv").write_text("path,licence\nx/histopathology/0.png,CC BY 4.0\n")
    return root


def test_run_trains_a_head_that_classifies(folder: Path, tmp_path: Path) -> None:
    excluded = hashlib.sha256((folder / "histopathology" / "4.png").read_bytes()).hexdigest()
    settings = {"packaged": False, "screens_per_picture": 3, "drawn": 0, "empty_screens": 12}
    out = tmp_path / "head.npz"
    report = run([folder], out, exclude_sha256=frozenset({excluded}), **settings)  # type: ignore[arg-type]

    assert report["domains"] == ["histopathology", "nonmedical"]
    assert "surgery" in report["unsupported"]
    why = {r["file"]: r["why"] for r in report["left_out"]}
    assert why["histopathology/4.png"] == "excluded by its hash"
    assert why["histopathology/tissue.png"].startswith("a copy of a held-out picture")
    assert "nonmedical/copy.jpg" in why or "nonmedical/0.png" in why
    licences = {p["file"]: p["licence"] for p in report["pictures"]}
    assert licences["histopathology/0.png"] == "CC BY 4.0"
    assert licences["histopathology/1.png"] == "not stated"
    assert len(licences) == 9

    classifier = FrameClassifier(ClassifierSettings(model=str(out)), device="cpu", threads=1)
    chosen = classifier([stripes(seed, red=seed < 202) for seed in range(200, 204)]).argmax(1)
    red, blue = DOMAINS.index(Domain.HISTOPATHOLOGY), DOMAINS.index(Domain.NONMEDICAL)
    assert chosen.tolist() == [red, red, blue, blue]

    again = tmp_path / "again.npz"
    run([folder], again, exclude_sha256=frozenset({excluded}), **settings)  # type: ignore[arg-type]
    assert again.read_bytes() == out.read_bytes()


def test_too_few_independent_pictures_are_unsupported() -> None:
    pictures = [picture(Domain.NONMEDICAL, i, group=i) for i in range(4)]
    pictures += [picture(Domain.CT, i, group=10 + i) for i in range(4)]
    pictures += [picture(Domain.MRI, i, group=20 + i % 3) for i in range(9)]
    pictures += [picture(Domain.OPHTHALMOLOGY, i, group=30 + i, file=f"drawn fundus#{i}") for i in range(9)]
    assert supported(pictures) == (Domain.CT, Domain.NONMEDICAL)
    with pytest.raises(UsageError, match="nonmedical"):
        supported(pictures[4:])


def test_folders_must_have_domain_names(tmp_path: Path) -> None:
    write(tmp_path / "ct" / "a.png", stripes(0, red=True))
    assert [p.domain for p in folder_pictures(tmp_path)] == [Domain.CT]
    assert [p.file for p in folder_pictures(tmp_path / "ct")] == ["ct/a.png"]
    write(tmp_path / "cats" / "a.png", stripes(0, red=True))
    with pytest.raises(UsageError, match="cats"):
        list(folder_pictures(tmp_path))
    (tmp_path / "ct" / "b.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"b\.png"):
        list(folder_pictures(tmp_path / "ct"))


def test_out_must_be_npz(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.npz"):
        run([tmp_path], tmp_path / "head.bin")


def test_copies_are_found_at_other_sizes_margins_and_qualities(tmp_path: Path) -> None:
    import cv2

    retina = read_picture(package_file("skimage", "retina.jpg"))
    small = cv2.resize(retina, (300, 300), interpolation=cv2.INTER_AREA)
    framed = np.pad(small, ((40, 10), (0, 90), (0, 0)))
    cv2.imwrite(str(tmp_path / "copy.jpg"), framed[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 40])
    hashes = difference_hash(retina)[None]
    assert is_copy(read_picture(tmp_path / "copy.jpg"), hashes)
    assert not is_copy(read_picture(package_file("skimage", "ihc.png")), hashes)
    assert not is_copy(fundus(np.random.default_rng(0)), hashes)


def test_packages_carry_pictures_without_the_held_out() -> None:
    pictures = list(package_pictures())
    assert {p.domain for p in pictures} >= {Domain.CT, Domain.MRI, Domain.ULTRASOUND, Domain.NONMEDICAL}
    assert not {Path(p.file).name for p in pictures} & {"retina.jpg", "ihc.png", "coffee.png", "astronaut.png"}
    assert all(p.rgb.dtype == np.uint8 and p.rgb.shape[2] == 3 for p in pictures)
    assert len(without_copies([*pictures[:4], *pictures[:4]])) == 4


def test_folders_are_read_to_the_ground_and_an_empty_one_is_said(tmp_path: Path) -> None:
    import cv2

    for name in ("ct/talk/1.png", "nonmedical/talk/2.png", "ct/alone.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.zeros((20, 20, 3), np.uint8))
    pictures = list(folder_pictures(tmp_path))
    assert [p.file for p in pictures] == ["ct/alone.png", "ct/talk/1.png", "nonmedical/talk/2.png"]
    groups = [p.group for p in with_groups(pictures, np.eye(3))]
    assert groups[1] == groups[2] != groups[0]  # of one source, whatever they show
    (tmp_path / "mri").mkdir()
    with pytest.raises(UsageError, match="mri holds no picture"):
        list(folder_pictures(tmp_path))


def test_alike_and_known_pictures_share_a_group() -> None:
    names = ["ct/a.png", "ct/b.png", "ct/c.nii.gz#0", "ct/c.nii.gz#1",
             "histopathology/cut_frame1.png", "histopathology/union_frame1.png"]  # fmt: skip
    pictures = [picture(Domain(n.split("/")[0]), i, file=n) for i, n in enumerate(names)]
    features = np.eye(6)
    features[1] = features[0] + 0.1
    groups = [p.group for p in with_groups(pictures, features)]
    assert groups[0] == groups[1]
    assert groups[2] == groups[3]
    assert groups[4] == groups[5]
    assert len(set(groups)) == 3


def test_screens_are_drawn_from_the_seed() -> None:
    face, source = np.full((20, 20, 3), 120, np.uint8), stripes(0, red=True)
    for draw in (lambda r: screen(source, r, face), lambda r: empty_screen(r, face), fundus, tissue):
        first, second, other = (draw(np.random.default_rng(s)) for s in (3, 3, 4))
        np.testing.assert_array_equal(first, second)
        assert first.shape != other.shape or not np.array_equal(first, other)
    frames = [screen(source, np.random.default_rng(s)) for s in range(12)]
    assert all(max(f.shape) == 256 and f.dtype == np.uint8 for f in frames)
    red = [((f[..., 0] > 120) & (f[..., 1] < 90)).mean() for f in frames]
    assert min(red) > 0.01


def test_restaining_keeps_the_tissue_and_changes_its_colour() -> None:
    section = tissue(np.random.default_rng(2))
    stained = [restained(section, np.random.default_rng(seed)) for seed in range(6)]
    dark = section.astype(float).mean(2)
    assert all(np.corrcoef(dark.ravel(), s.astype(float).mean(2).ravel())[0, 1] > 0.8 for s in stained)
    redness = [float(s[..., 0].mean()) - float(s[..., 2].mean()) for s in stained]
    assert max(redness) - min(redness) > 10


def test_held_out_logits_come_from_heads_that_never_saw_the_group() -> None:
    frames = toy(np.random.default_rng(0))
    strength, logits = cross_validate(frames, 2)
    everything = fit(frames, np.arange(120), 2, strength).logits(frames.features)
    assert not np.allclose(logits, everything)
    assert (logits.argmax(1) == frames.labels).mean() > 0.9
    # A feature that only names the group must not help: labels are noise, so held-out accuracy stays near chance.
    rng = np.random.default_rng(1)
    labels = np.concatenate([np.zeros(60, int), np.ones(60, int)])
    groups = np.arange(120) // 5
    memory = np.eye(24)[groups] * 5 + rng.normal(size=(120, 24)) * 0.01
    memorised = frames_of(memory, labels, groups)
    _, logits = cross_validate(memorised, 2)
    assert (logits.argmax(1) == labels).mean() < 0.7
    _, logits = cross_validate(dataclasses.replace(frames, judged=np.arange(120) % 2 == 0), 2)
    assert np.all(logits[1::2] == 0)


def test_temperature_softens_what_is_too_sure() -> None:
    frames = toy(np.random.default_rng(2))
    sure = np.where(np.arange(2) == frames.labels[:, None], 4.0, -4.0)
    wrong = np.random.default_rng(3).random(120) < 0.25
    sure[wrong] *= -1
    temperature = calibrate(sure, frames)
    assert 3 < temperature < 8
    assert abs(softmax(sure / temperature).max(1).mean() - 0.75) < 0.1


def test_evaluation_counts() -> None:
    frames = toy(np.random.default_rng(4))
    probabilities = np.tile([0.1, 0.9], (120, 1))
    probabilities[:30] = [0.9, 0.1]
    result = evaluate(probabilities, frames, (Domain.CT, Domain.NONMEDICAL))
    assert result["domains"]["ct"]["recall"] == 0.5
    assert result["domains"]["ct"]["precision_at_0.64"] == 1.0
    assert result["domains"]["ct"]["confused_with"] == {"nonmedical": 0.5}
    assert result["domains"]["nonmedical"]["precision"] == pytest.approx(60 / 90, abs=1e-3)
    assert result["medical_at_0.64"]["medical frames found"] == 0.5
    found_only = dataclasses.replace(frames, judged=np.arange(120) % 60 < 30)
    assert evaluate(probabilities, found_only, (Domain.CT, Domain.NONMEDICAL))["domains"]["ct"]["recall"] == 1.0
    assert result["medical_at_0.64"]["non-medical pictures taken for medical"] == 0.0
