"""Lets a CUDA build of torchvision be imported beside a CPU build of torch.

torchvision's wheel on the package index is a CUDA build. Beside a CPU torch its compiled half cannot load, so two
operators that its Python half registers shapes for at import are missing, and the import fails: with it transformers'
video processors, OpenCLIP and vLLM. Only the Python half is used here, so the operators are declared before the first
import. Every process needs this, vLLM's bare model-inspection child included, hence an import hook started by a `.pth`.

`python -m cluster.env.torchvision_cpu` installs it. This file is copied into site-packages, so it imports nothing of
the project, and it imports torch only at the moment when somebody imports torchvision.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # the module of that name costs start-up time
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

NAME = "preceptor_torchvision_cpu"
_libraries: list[Any] = []  # torch.library forgets the operators of a library that is garbage


class Hook:
    """Meta path finder that finds nothing: it declares the operators just before torchvision is looked for."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        """Always None, so that the usual finders go on."""
        if fullname == "torchvision":
            sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
            if needed():
                declare()


def needed() -> bool:
    """Whether torch is a CPU build and torchvision's compiled half does not load beside it."""
    from importlib.machinery import PathFinder
    from pathlib import Path

    spec = PathFinder.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return False
    import torch

    if torch.version.cuda is not None or torch.version.hip is not None:
        return False
    compiled = sorted(Path(next(iter(spec.submodule_search_locations))).glob("_C*.so"))
    try:
        for library in compiled:
            torch.ops.load_library(str(library))
    except OSError:
        return True
    return not compiled


def declare() -> None:
    """Declare `torchvision::nms` and `torchvision::qnms`; calling one still fails, as nothing implements them."""
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _libraries.append(library)


def activate() -> None:
    """Install the hook in this process (once); costs no import."""
    if "torchvision" not in sys.modules and not any(type(f).__name__ == Hook.__name__ for f in sys.meta_path):
        sys.meta_path.insert(0, Hook())


def site_packages() -> Path:
    """Where this interpreter's packages are."""
    import sysconfig
    from pathlib import Path

    return Path(sysconfig.get_paths()["purelib"])


def installed(folder: Path | None = None) -> bool:
    """Whether the hook stands in `folder` (site-packages), in this version."""
    from pathlib import Path

    folder = folder or site_packages()
    module, pth = folder / f"{NAME}.py", folder / f"{NAME}.pth"
    return pth.is_file() and module.is_file() and module.read_bytes() == Path(__file__).read_bytes()


def install(folder: Path | None = None) -> Path:
    """Put the hook into `folder` (site-packages), for every later start of this interpreter; returns the `.pth`."""
    from pathlib import Path

    folder = folder or site_packages()
    (folder / f"{NAME}.py").write_bytes(Path(__file__).read_bytes())
    pth = folder / f"{NAME}.pth"
    pth.write_text(f"import {NAME}; {NAME}.activate()\n", encoding="utf-8")
    return pth


if __name__ == "__main__":
    print(install())
