"""The frame classifiers: the shipped head on pictures it never saw, and the two other kinds with tiny random models."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from actors.frame_classifier import (
    DOMAINS,
    SHIPPED_HEAD,
    FrameClassifier,
    backbone_hash,
    columns_of,
    letterbox,
    templates,
    weights_hash,
)
from pipelines.config import ClassifierSettings
from pipelines.errors import UsageError
from pipelines.schema import Domain
from train.frame_data import COPY_DISTANCE, grey, held_out_hashes, package_file, pixel_sha256, read_picture, volume_of

REPORT = json.loads(SHIPPED_HEAD.with_suffix(".json").read_text(encoding="utf-8"))
NONMEDICAL = DOMAINS.index(Domain.NONMEDICAL)


@pytest.fixture(scope="module")
def starter() -> FrameClassifier:
    return FrameClassifier(ClassifierSettings(), device="cpu", threads=1)


def photo(name: str) -> np.ndarray:
    return read_picture(package_file("skimage", name))


def viewer(picture: np.ndarray, *, fill: float = 0.92, inset: bool = True, quality: int = 60) -> np.ndarray:
    """A 960 x 540 dark viewer with toolbar, labels, arrow and a face in the corner, drawn unlike training's."""
    import cv2

    screen = np.full((540, 960, 3), 22, np.uint8)
    screen[:44] = 60
    for i in range(7):
        cv2.rectangle(screen, (12 + i * 40, 10), (38 + i * 40, 34), (150, 150, 160), 1)
    scale = min(480 * fill / picture.shape[0], 900 * fill / picture.shape[1])
    size = (int(picture.shape[1] * scale), int(picture.shape[0] * scale))
    top, left = 50 + (480 - size[1]) // 2, (960 - size[0]) // 2
    screen[top : top + size[1], left : left + size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    for text, at in (("Viewer", (820, 30)), ("Series 3", (14, 70)), ("W 400 L 40", (14, 525))):
        cv2.putText(screen, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (210, 210, 120), 1, cv2.LINE_AA)
    if inset:
        screen[412:532, 832:952] = cv2.resize(photo("astronaut.png")[0:220, 120:340], (120, 120))
    shape = ((0, 0), (0, 27), (6, 21), (11, 32), (16, 30), (11, 19), (19, 19))
    arrow = np.array([(430 + x, 260 + y) for x, y in shape])
    cv2.fillPoly(screen, [arrow], (255, 255, 255))
    return recorded(screen, quality)


def title(text: str, background: int, ink: int) -> np.ndarray:
    import cv2

    slide = np.full((540, 960, 3), background, np.uint8)
    cv2.putText(slide, text, (80, 250), cv2.FONT_HERSHEY_DUPLEX, 1.6, (ink, ink, ink), 2, cv2.LINE_AA)
    return recorded(slide, 60)


def recorded(screen: np.ndarray, quality: int) -> np.ndarray:
    import cv2

    _, data = cv2.imencode(".jpg", screen, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.resize(cv2.imdecode(data, cv2.IMREAD_COLOR), (256, 144), interpolation=cv2.INTER_AREA))


def brain() -> np.ndarray:
    return volume_of(package_file("nilearn", "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"))


def medical_screens(domain: Domain) -> list[np.ndarray]:
    if domain is Domain.MRI:
        volume = brain()
        slices = [volume[:, :, z] for z in (70, 85, 95, 110)] + [volume[:, y] for y in (100, 130)] + [volume[98]]
        pictures = [grey(np.rot90(s)) for s in slices]
    else:
        whole = photo("retina.jpg" if domain is Domain.OPHTHALMOLOGY else "ihc.png")
        height, width = whole.shape[:2]
        pictures = [whole, whole[: height * 3 // 4, : width * 3 // 4], whole[height // 5 :, width // 5 :]]
    return [viewer(p, fill=f, inset=i) for p in pictures for f, i in ((0.95, True), (0.8, False))]


@pytest.mark.parametrize("domain", [Domain.MRI, Domain.OPHTHALMOLOGY, Domain.HISTOPATHOLOGY])
def test_recognises_a_domain_in_a_viewer(starter: FrameClassifier, domain: Domain) -> None:
    probabilities = starter(medical_screens(domain))[:, DOMAINS.index(domain)]
    assert np.mean(probabilities > 0.64) > 0.7, probabilities


def test_takes_nothing_else_for_medical(starter: FrameClassifier) -> None:
    photos = ("coffee.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png", "astronaut.png")
    frames = [viewer(photo(name)) for name in photos]
    frames += [recorded(photo(name), 70) for name in photos]
    frames += [title(t, b, i) for t in ("Brain MRI", "The fundus", "Thank you") for b, i in ((20, 240), (245, 30))]
    probabilities = starter(frames)
    assert (probabilities.argmax(1) == NONMEDICAL).mean() >= 0.9
    assert (probabilities[:, :NONMEDICAL] > 0.64).sum() == 0


def test_probabilities_are_a_distribution(starter: FrameClassifier) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, shape, np.uint8) for shape in ((144, 256, 3), (256, 144, 3), (40, 60, 3), (1, 1, 3))]
    probabilities = starter(frames)
    assert probabilities.shape == (4, 13)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)


def test_a_frame_does_not_depend_on_its_neighbours(starter: FrameClassifier) -> None:
    frames = [viewer(photo(n)) for n in ("coffee.png", "ihc.png")] + [photo("rocket.jpg"), title("Summary", 20, 240)]
    together = starter(frames)
    alone = np.concatenate([starter([f]) for f in reversed(frames)])[::-1]
    np.testing.assert_array_equal(together, alone)
    again = FrameClassifier(ClassifierSettings(), device="cpu", threads=1)
    np.testing.assert_array_equal(together, again(frames))


def test_no_frames(starter: FrameClassifier) -> None:
    assert starter([]).shape == (0, 13)


def test_unsupported_domains_are_named_and_never_seen(starter: FrameClassifier) -> None:
    unsupported = [DOMAINS.index(Domain(name)) for name in REPORT["unsupported"]]
    assert {DOMAINS[i] for i in unsupported} >= {Domain.SURGERY, Domain.ENDOSCOPY, Domain.MAMMOGRAPHY}
    probabilities = starter([photo("ihc.png"), photo("coffee.png")])
    assert np.all(probabilities[:, unsupported] == 0)
    assert np.all(probabilities[:, [i for i in range(13) if i not in unsupported]] > 0)


def test_name_says_model_and_hash(starter: FrameClassifier) -> None:
    assert starter.weights_hash() == weights_hash(ClassifierSettings())
    assert starter.name == f"starter:starter_head@{starter.weights_hash()[:12]}"


def test_weights_hash_sees_another_head(tmp_path: Path) -> None:
    head = tmp_path / "other.npz"
    head.write_bytes(SHIPPED_HEAD.read_bytes() + b" ")
    assert weights_hash(ClassifierSettings(model=str(head))) != weights_hash(ClassifierSettings())
    with pytest.raises(UsageError, match="no head file"):
        weights_hash(ClassifierSettings(model=str(tmp_path / "missing.npz")))


def test_head_of_another_backbone_is_refused(tmp_path: Path) -> None:
    with np.load(SHIPPED_HEAD, allow_pickle=False) as arrays:
        np.savez(tmp_path / "head.npz", **{**arrays, "backbone": np.array("0" * 64)})
    with pytest.raises(UsageError, match="another backbone"):
        FrameClassifier(ClassifierSettings(model=str(tmp_path / "head.npz")), device="cpu", threads=1)


def test_report_of_the_shipped_head_is_complete() -> None:
    assert REPORT["head_sha256"] == hashlib.sha256(SHIPPED_HEAD.read_bytes()).hexdigest()
    assert REPORT["backbone"]["sha256"] == backbone_hash()
    assert {*REPORT["domains"], *REPORT["unsupported"]} == {d.value for d in Domain}
    assert set(REPORT["evaluation"]["domains"]) == set(REPORT["domains"])
    assert REPORT["command"].startswith("preceptor train frames")
    assert REPORT["temperature"] > 0
    for picture in REPORT["pictures"]:
        assert len(picture["sha256"]) == len(picture["pixel_sha256"]) == len(picture["difference_hash"]) == 64
        assert picture["licence"] != "not stated"
        assert "GPL" not in picture["licence"]
    for domain in REPORT["domains"]:
        groups = {p["group"] for p in REPORT["pictures"] if p["domain"] == domain and "drawn" not in p["file"]}
        assert len(groups) >= 4
    assert SHIPPED_HEAD.stat().st_size < 120_000


def test_demonstration_pictures_were_not_trained_on() -> None:
    names = ("retina.jpg", "ihc.png", "coffee.png", "chelsea.png", "rocket.jpg", "astronaut.png",
             "motorcycle_left.png", "motorcycle_right.png")  # fmt: skip
    files = [package_file("skimage", name) for name in names]
    trained = REPORT["pictures"]
    assert not {hashlib.sha256(f.read_bytes()).hexdigest() for f in files} & {p["sha256"] for p in trained}
    assert not {pixel_sha256(read_picture(f)) for f in files} & {p["pixel_sha256"] for p in trained}
    held_out = held_out_hashes()
    for picture in trained:
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(picture["difference_hash"]), np.uint8)).astype(bool)
        assert (held_out != bits).sum(1).min() > COPY_DISTANCE, picture["file"]


def test_letterbox_keeps_everything() -> None:
    frame = np.zeros((270, 480, 3), np.uint8)
    frame[:, :4] = frame[:, -4:] = 255
    boxed = letterbox(frame)
    assert boxed.shape == (160, 256, 3)
    assert np.all(boxed[20:140, [0, -1]] > 200)


def test_labels_name_domains() -> None:
    assert columns_of(["CT", "X-ray", "Chest X Ray", "Histology slide", "non-medical"]) == [
        DOMAINS.index(d) for d in (Domain.CT, Domain.XRAY, Domain.XRAY, Domain.HISTOPATHOLOGY, Domain.NONMEDICAL)
    ]
    assert columns_of(["no_tumor_mri", "non-contrast CT", "No finding X-ray", "not CT", "not relevant"]) == [
        DOMAINS.index(Domain.MRI), DOMAINS.index(Domain.CT), DOMAINS.index(Domain.XRAY), NONMEDICAL, NONMEDICAL,
    ]  # fmt: skip
    denials = ["not an x-ray", "no ultrasound image", "non_medical_frames", "no medical content", "not_relevant_frame"]
    assert columns_of(denials) == [NONMEDICAL] * len(denials)
    assert columns_of(["other", "histopathology"]) == [NONMEDICAL, DOMAINS.index(Domain.HISTOPATHOLOGY)]


@pytest.mark.parametrize(
    "labels", [["biomedical", "non-biomedical"], ["LABEL_0", "LABEL_1"], ["ct", "mri"], ["ct mri", "other"]]
)
def test_labels_that_name_no_domain_are_refused(labels: list[str]) -> None:
    with pytest.raises(UsageError, match=labels[0]):
        columns_of(labels)


def vit_folder(folder: Path, labels: list[str]) -> ClassifierSettings:
    import torch
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=16,
        id2label=dict(enumerate(labels)), label2id={label: i for i, label in enumerate(labels)}, initializer_range=0.5,
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return ClassifierSettings(kind="transformers", model=str(folder))


def test_transformers_kind(tmp_path: Path) -> None:
    settings = vit_folder(tmp_path, ["nonmedical", "CT", "X-ray"])
    classifier = FrameClassifier(settings, device="cpu", threads=1)
    frames = [photo("coffee.png"), photo("ihc.png"), photo("rocket.jpg")]
    probabilities = classifier(frames)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    named = [DOMAINS.index(d) for d in (Domain.CT, Domain.XRAY, Domain.NONMEDICAL)]
    assert np.all(np.delete(probabilities, named, axis=1) == 0)
    assert np.ptp(probabilities[:, named], axis=0).max() > 1e-4
    np.testing.assert_array_equal(probabilities[1:2], classifier(frames[1:2]))
    assert classifier.weights_hash() == weights_hash(settings)


def test_transformers_kind_refuses_foreign_labels(tmp_path: Path) -> None:
    settings = vit_folder(tmp_path, ["medical", "nonmedical"])
    with pytest.raises(UsageError, match="'medical', 'nonmedical'"):
        FrameClassifier(settings, device="cpu", threads=1)


def test_open_clip_kind(tmp_path: Path) -> None:
    open_clip = pytest.importorskip("open_clip")
    import torch

    model_cfg = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
    }
    torch.manual_seed(0)
    model = open_clip.CLIP(model_cfg["embed_dim"], model_cfg["vision_cfg"], model_cfg["text_cfg"])
    torch.save(model.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    config = {"model_cfg": model_cfg, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))

    classifier = FrameClassifier(ClassifierSettings(kind="open_clip", model=str(tmp_path)), device="cpu", threads=1)
    frames = [photo("coffee.png"), photo("ihc.png")]
    probabilities = classifier(frames)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(probabilities[1:], classifier(frames[1:]))

    # The published rule by hand: mean of normalised template embeddings, renormalised, times 100, softmax.
    _, _, transform = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")
    from PIL import Image

    from actors.frame_classifier import CLASS_NAMES

    tokenizer = open_clip.get_tokenizer(f"local-dir:{tmp_path}")
    with torch.inference_mode():
        model.eval()
        image = torch.nn.functional.normalize(model.encode_image(transform(Image.fromarray(frames[0]))[None]), dim=1)
        rows = []
        for domain in DOMAINS:
            texts = tokenizer([t.format(CLASS_NAMES[domain]) for t in templates(domain)])
            mean = torch.nn.functional.normalize(model.encode_text(texts), dim=1).mean(0)
            rows.append(mean / mean.norm())
        expected = (100 * image @ torch.stack(rows).T).softmax(1)[0]
    np.testing.assert_allclose(probabilities[0], expected.numpy(), atol=1e-4)
