"""The benchmarks by name: where their files are read, how open answers are asked for and judged."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import UsageError
from serve.evaluation.benchmarks.held_out import held_out
from serve.evaluation.benchmarks.image_sets import path_vqa, quilt, slake, vqa_rad
from serve.evaluation.benchmarks.text_sets import med_qa, pub_med_qa
from serve.evaluation.benchmarks.video_sets import mimic_echo_qa, surgery_video_qa, vidrip
from serve.evaluation.config import Settings
from serve.evaluation.prompts import LONG, SHORT
from serve.evaluation.question import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark. `scale` is the judge's, fixed: marks of one benchmark are always of one scale."""

    name: str
    load: Callable[[Path, Settings], Iterator[Question]]
    scale: str = "binary"
    instruction: str = SHORT
    max_tokens: int = 64


_ALL = (
    Benchmark(name="SurgeryVideoQA", load=surgery_video_qa),
    Benchmark(name="MIMICEchoQA", load=mimic_echo_qa),
    Benchmark(name="ViDRiP", load=vidrip, scale="vidrip", instruction=LONG, max_tokens=1024),
    Benchmark(name="VQA-RAD", load=vqa_rad),
    Benchmark(name="PathVQA", load=path_vqa),
    Benchmark(name="SLAKE", load=slake),
    Benchmark(name="Quilt", load=quilt, scale="quilt", instruction=LONG, max_tokens=1024),
    Benchmark(name="MedQA", load=med_qa, max_tokens=256),
    Benchmark(name="PubMedQA", load=pub_med_qa),
)
NAMES = tuple(b.name for b in _ALL)


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def find(name: str, data: Path | None) -> tuple[Benchmark, Path]:
    """The benchmark called `name`, or the dataset in the folder `name`, and where its files are.

    Raises:
        UsageError: there is neither, or no data is given.
    """
    for benchmark in _ALL:
        if _plain(benchmark.name) == _plain(name):
            if data is None:
                raise UsageError(f"Say with --data where the files of {benchmark.name} are.")
            return benchmark, data
    folder = Path(name)
    if not folder.is_dir():
        raise UsageError(f"There is no benchmark and no dataset folder '{name}'; there are {', '.join(NAMES)}.")
    if data is not None:
        raise UsageError("--data belongs to a published benchmark; a dataset's folder is given as --benchmark alone.")
    return Benchmark(name=f"held out of {folder.resolve().name}", load=held_out), folder


def questions(benchmark: Benchmark, data: Path, settings: Settings) -> list[Question]:
    """Every question of the wanted groups, in the file's order.

    Raises:
        UsageError: the files are not of the published form, hold nothing, or name two questions alike; or there is no
            such group.
    """
    try:
        found = list(benchmark.load(data, settings))
    except ValueError as error:
        raise UsageError(f"{benchmark.name} in {data} cannot be asked: {error}.") from error
    if not found:
        raise UsageError(f"{data} holds no question of {benchmark.name}.")
    seen: set[str] = set()
    for question in found:
        if question.question_id in seen:
            raise UsageError(f"Two questions of {benchmark.name} in {data} have the id '{question.question_id}'.")
        seen.add(question.question_id)
    return _of_groups(found, settings.groups) if settings.groups else found


def _of_groups(found: Sequence[Question], groups: Sequence[str]) -> list[Question]:
    known = {q.group for q in found if q.group}
    if missing := [g for g in groups if g not in known]:
        raise UsageError(f"groups: there is no '{missing[0]}'; there are {', '.join(sorted(known)) or 'none'}.")
    return [q for q in found if q.group in groups]
