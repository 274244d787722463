"""The rules that the names and directions of the tree follow, held by a machine."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pipelines", "actors", "train", "serve", "cluster")
SOURCES = sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))

ENTRY = ("pipelines.curate", "pipelines.export", "pipelines.card", "pipelines.summary", "pipelines.retries",
         "pipelines.screened", "pipelines.report", "pipelines.audit", "pipelines.dataset", "pipelines.progress",
         "pipelines.stage", "pipelines.ledger", "pipelines.store", "pipelines.instructed", "pipelines.instruct",
         "pipelines.instruct_summary", "pipelines.instruct_audit")  # fmt: skip


def layer(module: str) -> int:
    """schema, config, errors < stages < actors < curate, export < train, serve < cluster."""
    if module.startswith("cluster") and module != "cluster.env.torchvision_cpu":
        return 5
    if module.startswith(("train", "serve")):
        return 4
    if ".".join(module.split(".")[:2]) in ENTRY:
        return 3
    if module.startswith("actors"):
        return 2
    return 1 if module.startswith("pipelines.stages") else 0


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def top_level_imports(path: Path) -> list[str]:
    names = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names += [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{a.name}" for a in node.names]
    return names


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_point_one_way(path: Path) -> None:
    ours = [n for n in top_level_imports(path) if n.split(".")[0] in PACKAGES]
    # media, image_file and sources are the ground floor's hands and may be used by all above
    assert [n for n in ours if layer(n) > layer(module_of(path))] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_ours(package: str) -> None:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).parent == ROOT / package


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_files_stay_readable(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def test_broad_handlers_are_where_strangers_code_runs() -> None:
    broad = [
        (module_of(path), handler.lineno)
        for path in SOURCES
        for handler in ast.walk(ast.parse(path.read_text()))
        if isinstance(handler, ast.ExceptHandler)
        and (handler.type is None or getattr(handler.type, "id", "") in ("Exception", "BaseException"))
    ]
    # Ray raises a bare Exception when it does not start
    assert [module for module, _ in broad] == ["cluster.connect", "pipelines.stage"]


def test_stages_know_neither_ray_nor_torch() -> None:
    for path in (ROOT / "pipelines" / "stages").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {n.split(".")[0] for n in names} & {"ray", "torch"}, path


def test_the_command_imports_nothing_heavy() -> None:
    code = (
        "import sys, cluster.cli; "
        "print([m for m in ('ray', 'torch', 'transformers', 'vllm', 'av', 'cv2', 'faster_whisper', 'timm', 'sklearn') "
        "if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_no_package_under_tests() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []
