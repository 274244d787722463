"""The pictures a frame classifier's head is trained on: where each comes from, its licence, and what it equals."""

import csv
import dataclasses
import functools
import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from actors.frame_classifier import letterbox
from pipelines.errors import EnvironmentFault, UsageError
from pipelines.schema import Domain

SUFFIXES = (".png", ".jpg", ".jpeg")
COPY_DISTANCE, COPY_SHARE, LEAST_BITS = 40, 0.25, 32
"""Hashes of one picture differ in at most so many bits of 256, and in at most this share of the bits that either has set.
Of the packaged pictures, made smaller by three tenths and compressed again (JPEG 70), nine in ten differ from themselves in
at most 20, and no two of them in 40 or fewer.
Slides and empty viewers have few bits set and so are near to one another; with fewer than the least, only a picture that is
equal to the pixel is known again."""
SAME_SUBJECT = (("histopathology/cut_frame1.png", "histopathology/union_frame1.png"),)
"""Pictures known to show one slide, though they look unlike: never on both sides of a fold."""

HELD_OUT = {
    "skimage": ("retina.jpg", "ihc.png", "coffee.png", "chelsea.png", "rocket.jpg", "astronaut.png",
                "motorcycle_left.png", "motorcycle_right.png"),
}  # fmt: skip
"""Package pictures that the project's demonstration and tests show: no copy of them is ever trained on."""
HELD_OUT_VOLUME = ("nilearn", "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz")

_PYDICOM, _NIBABEL = "MIT (pydicom test files)", "MIT (nibabel test files)"
_SKIMAGE, _SKLEARN = "BSD-3-Clause (scikit-image data)", "CC BY 2.0 (scikit-learn sample images)"
PACKAGE_PICTURES = (
    ("pydicom", "CT_small.dcm", Domain.CT, _PYDICOM),
    ("pydicom", "693_J2KI.dcm", Domain.CT, _PYDICOM),
    ("pydicom", "J2K_pixelrep_mismatch.dcm", Domain.CT, _PYDICOM),
    ("pydicom", "MR_small.dcm", Domain.MRI, _PYDICOM),
    ("pydicom", "examples_overlay.dcm", Domain.MRI, _PYDICOM),
    ("nibabel", "slicethickness_empty_string.dcm", Domain.MRI, _NIBABEL),
    ("nibabel", "example4d.nii.gz", Domain.MRI, _NIBABEL),
    ("pydicom", "examples_palette.dcm", Domain.ULTRASOUND, _PYDICOM),
    ("pydicom", "examples_ybr_color.dcm", Domain.ULTRASOUND, _PYDICOM),
    ("pydicom", "examples_rgb_color.dcm", Domain.ULTRASOUND, _PYDICOM),
    ("skimage", "microaneurysms.png", Domain.OPHTHALMOLOGY, _SKIMAGE),
    *(
        ("skimage", name, Domain.NONMEDICAL, _SKIMAGE)
        for name in ("camera.png", "page.png", "text.png", "coins.png", "horse.png", "gravel.png", "brick.png",
                     "grass.png", "moon.png", "color.png", "logo.png", "hubble_deep_field.jpg", "clock_motion.png")
    ),
    ("sklearn", "china.jpg", Domain.NONMEDICAL, _SKLEARN),
    ("sklearn", "flower.jpg", Domain.NONMEDICAL, _SKLEARN),
)  # fmt: skip
"""Real pictures that come inside installed packages: (package, file name, domain, licence)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One labelled source picture. `rgb` is (H, W, 3) uint8."""

    rgb: np.ndarray
    domain: Domain
    file: str
    sha256: str
    """Of the file; for a drawn picture, of its pixels."""
    licence: str
    group: int = -1
    """Pictures of one group are not independent: they share a fold. Assigned by `with_groups`."""

    @property
    def pixel_sha256(self) -> str:
        """Of the decoded RGB pixels, with their shape."""
        return pixel_sha256(self.rgb)


def pixel_sha256(rgb: np.ndarray) -> str:
    """SHA-256 (hex) of the shape and the decoded RGB pixels."""
    return hashlib.sha256(f"{rgb.shape}".encode() + np.ascontiguousarray(rgb).tobytes()).hexdigest()


def difference_hash(rgb: np.ndarray) -> np.ndarray:
    """256 bits (bool) that survive rescaling, compression and margins: a difference hash of the content's luma.

    Method: Krawetz's dHash (2013) on 16 x 17 cells, after cutting uniform margins off.
    """
    import cv2

    luma = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY).astype(np.float32)
    content = np.abs(luma - luma[0, 0]) > 24
    rows, columns = np.flatnonzero(content.any(1)), np.flatnonzero(content.any(0))
    if len(rows) > 8 and len(columns) > 8:
        luma = luma[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    cells = cv2.resize(luma, (17, 16), interpolation=cv2.INTER_AREA)
    return np.asarray(cells[:, 1:] > cells[:, :-1] + 0.5).ravel()


def read_picture(file: Path) -> np.ndarray:
    """A picture file as RGB uint8 (H, W, 3).

    Raises:
        UsageError: it is no picture, or not a whole one.
    """
    import cv2

    try:
        with Image.open(file) as picture:
            picture.load()  # OpenCV takes a file that is cut off for a whole one, the rest of it grey
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(f"{file} is not a readable picture.") from error
    pixels = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if pixels is None:
        raise UsageError(f"{file} is not a readable picture.")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


def is_hidden(name: str) -> bool:
    """What systems and editors put beside pictures: `.ipynb_checkpoints`, `__MACOSX`."""
    return name.startswith((".", "__MACOSX"))


def is_picture(file: Path, root: Path) -> bool:
    """Whether it is named as a picture, and no part of its path below `root` is hidden."""
    return file.suffix.lower() in SUFFIXES and not any(map(is_hidden, file.relative_to(root).parts))


def folder_pictures(folder: Path) -> Iterator[Picture]:
    """The pictures in and below `folder/<domain>/`, or `folder` itself where it has a domain's name.

    A MANIFEST.csv (columns `path`, `licence`) in the folder or beside it names the licences.

    Raises:
        UsageError: the folder holds no domain folder, one of a name that is no domain, or one without pictures.
    """
    names = {d.value for d in Domain}
    own = [folder] if folder.name in names else sorted(f for f in folder.glob("*") if f.is_dir() and not is_hidden(f.name))
    wrong = [f.name for f in own if f.name not in names]
    if not own or wrong:
        found = f"not {', '.join(wrong)}" if wrong else "and holds none"
        raise UsageError(f"{folder} must hold folders named {', '.join(Domain)}, {found}.")
    licences = _licences(folder)
    for domain_folder in own:
        files = sorted(f for f in domain_folder.rglob("*") if is_picture(f, domain_folder))
        if not files:
            raise UsageError(f"{domain_folder} holds no picture ({', '.join(SUFFIXES)}).")
        for file in files:
            short = file.relative_to(domain_folder.parent).as_posix()
            yield Picture(
                rgb=read_picture(file),
                domain=Domain(domain_folder.name),
                file=short,
                sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
                licence=licences.get("/".join(file.parts[-2:]), "not stated"),
            )


def _licences(folder: Path) -> dict[str, str]:
    for manifest in (folder / "MANIFEST.csv", folder.parent / "MANIFEST.csv"):
        if manifest.is_file():
            with manifest.open(newline="", encoding="utf-8") as stream:
                return {"/".join(Path(r["path"]).parts[-2:]): r["licence"] for r in csv.DictReader(stream)}
    return {}


def package_pictures() -> Iterator[Picture]:
    """The real pictures inside installed packages, `PACKAGE_PICTURES`; a volume gives several slices."""
    for package, name, domain, licence in PACKAGE_PICTURES:
        file = package_file(package, name)
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        for part, rgb in enumerate(_decode(file)):
            label = f"{package}/{name}" + (f"#{part}" if part else "")
            yield Picture(rgb=rgb, domain=domain, file=label, sha256=sha256, licence=licence)


def package_file(package: str, name: str) -> Path:
    """The path of a data file inside an installed package.

    Raises:
        EnvironmentFault: the package, or the file in it, is missing.
    """
    spec = importlib.util.find_spec(package)
    found = sorted(Path(spec.origin).parent.rglob(name)) if spec and spec.origin else []
    if not found:
        raise EnvironmentFault(f"The package {package} with its data file {name} is not installed.")
    return found[0]


def _decode(file: Path) -> list[np.ndarray]:
    if file.suffix == ".dcm":
        return [_dicom(file)]
    if file.name.endswith(".nii.gz"):
        volume = volume_of(file)
        return [grey(np.rot90(volume[:, :, z])) for z in range(6, 20, 3)] + [grey(np.rot90(volume[64]))]
    return [read_picture(file)]


def _dicom(file: Path) -> np.ndarray:
    import pydicom
    from pydicom.pixels.processing import apply_color_lut, convert_color_space

    dataset = pydicom.dcmread(file)
    pixels = dataset.pixel_array
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        pixels = (apply_color_lut(pixels, dataset) >> 8).astype(np.uint8)
    elif str(dataset.PhotometricInterpretation).startswith("YBR_FULL"):
        pixels = convert_color_space(pixels, "YBR_FULL", "RGB", per_frame=True)
    if dataset.get("NumberOfFrames", 1) > 1:
        pixels = pixels[len(pixels) // 2]
    return np.ascontiguousarray(pixels[..., :3]) if pixels.ndim == 3 else grey(pixels)


def volume_of(file: Path) -> np.ndarray:
    """The first three-dimensional volume of a NIfTI file."""
    import nibabel

    volume = np.asarray(nibabel.load(file).dataobj, dtype=np.float32)  # type: ignore[attr-defined]
    return volume[..., 0] if volume.ndim == 4 else volume


def grey(plane: np.ndarray) -> np.ndarray:
    """A plane of any range as RGB uint8, windowed from its 1st to its 99.5th percentile."""
    low, high = np.percentile(plane, [1, 99.5])
    scaled = np.clip((plane.astype(np.float64) - low) / max(float(high - low), 1e-9), 0, 1)
    return np.repeat(np.round(scaled * 255).astype(np.uint8)[..., None], 3, axis=2)


@functools.cache
def held_out_hashes() -> np.ndarray:
    """Difference hashes (N, 256) of every held-out picture and of every MNI152 slice, in all eight orientations."""
    pictures = [read_picture(package_file(package, name)) for package, names in HELD_OUT.items() for name in names]
    volume = volume_of(package_file(*HELD_OUT_VOLUME))
    for axis in range(3):
        for index in range(12, volume.shape[axis] - 12, 3):
            plane = np.ascontiguousarray(np.moveaxis(volume, axis, 0)[index])
            if (plane > plane.mean()).mean() > 0.02:
                pictures.append(grey(plane))
    pictures = [letterbox(p) for p in pictures]
    turned = [np.rot90(p[:, ::flip], turns) for p in pictures for flip in (1, -1) for turns in range(4)]
    return np.stack([difference_hash(p) for p in turned])


def same_picture(differing: np.ndarray, bits: int, others_bits: np.ndarray) -> np.ndarray:
    """Of hashes that differ from one with `bits` set in so many, which are of its picture; all (N,), the result bool."""
    either = (differing + bits + others_bits) / 2
    close = differing <= np.minimum(COPY_DISTANCE, COPY_SHARE * either)
    return np.asarray(close & (others_bits >= LEAST_BITS) & (bits >= LEAST_BITS))


def is_copy(rgb: np.ndarray, hashes: np.ndarray) -> bool:
    """Whether a picture equals one of `hashes` (N, 256) up to scale, compression and margins."""
    bits = difference_hash(rgb)
    return bool(same_picture((hashes != bits).sum(1), int(bits.sum()), hashes.sum(1)).any())


def without_copies(pictures: Sequence[Picture]) -> list[Picture]:
    """The first of every set of equal pictures."""
    kept: list[Picture] = []
    hashes, pixels = np.zeros((0, 256), bool), set[str]()
    for picture in pictures:
        if not is_copy(picture.rgb, hashes) and picture.pixel_sha256 not in pixels:
            kept.append(picture)
            pixels.add(picture.pixel_sha256)
            hashes = np.vstack([hashes, difference_hash(picture.rgb)])
    return kept


def with_groups(pictures: Sequence[Picture], features: np.ndarray, *, min_cosine: float = 0.9) -> list[Picture]:
    """Pictures of one domain that look alike to the backbone, or come from one file, generator or source's folder
    (`DOMAIN/SOURCE/picture`, whatever the domain), share a group.

    `features` (N, D) are those of the bare pictures. Too large a group only makes the evaluation stricter.
    """
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    group = list(range(len(pictures)))
    for i in range(len(pictures)):
        for j in range(i):
            files = pictures[i].file.split("#")[0], pictures[j].file.split("#")[0]
            sources = [Path(f).parts[1:-1] for f in files]
            same = files[0] == files[1] or any(set(files) <= set(known) for known in SAME_SUBJECT)
            same = same or (sources[0] == sources[1] != ())
            alike = pictures[i].domain == pictures[j].domain and float(unit[i] @ unit[j]) >= min_cosine
            if same or alike:
                old, new = group[i], group[j]
                group = [new if g == old else g for g in group]
    return [dataclasses.replace(p, group=g) for p, g in zip(pictures, group, strict=True)]
