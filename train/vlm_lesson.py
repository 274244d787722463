"""A vision-language model as a lesson: packed conversations in, a Hugging Face folder out."""

import shutil
from typing import Any

from train import checkpoint
from train.account import Job
from train.batch import Batch, Collator
from train.chat import load_processor, marks
from train.flops import Flops
from train.index import Reader, local_folder
from train.log import scratch
from train.model import Means, local_model, packed_loss, prepared
from train.parts import groups
from train.sampler import Pack, Ref


class VlmLesson:
    """`train.loop.Lesson` of one stage of Qwen2-VL."""

    def __init__(self, job: Job, found: Means) -> None:
        self._job, self._found = job, found
        self._reader = Reader(local_folder(job.out), job.streams)
        self._start = local_model(job.start)
        self._processor = load_processor(self._start, job.config.vision)
        model = prepared(self._start, job.config.stages[job.stage], found, job.config.seed)
        self._collate = Collator(self._processor, marks(self._processor), job.config.vision, _rope_index(model))
        self.flops = Flops(model)
        self.module = packed_loss(model)

    def line(self, workers: int) -> str:
        """What is computed with."""
        return self._found.line(workers)

    def optimizer(self, module: Any) -> Any:
        """AdamW over the parts that learn."""
        import torch

        return torch.optim.AdamW(groups(module, self._job.config.stages[self._job.stage]), fused=self._found.gpu)

    def length(self, ref: Ref) -> int:
        """Tokens of a document."""
        return self._reader.length(ref.stream, ref.row)

    def targets(self, ref: Ref) -> int:
        """Learned tokens of a document."""
        return self._reader.targets(ref.stream, ref.row)

    def batch(self, pack: Pack) -> Batch:
        """A packed sequence."""
        batch = self._collate([self._reader.document(r.stream, r.row) for r in pack.refs])
        return batch.pinned() if self._found.gpu else batch

    def publish(self, weights: dict[str, Any]) -> None:
        """Export the stage's model to its place in the output."""
        folder = scratch()
        checkpoint.export(self._start, self._job.config.stages[self._job.stage], weights, self._processor, folder)
        checkpoint.publish(folder, self._job.out, *self._job.target)
        shutil.rmtree(folder, ignore_errors=True)


def _rope_index(model: Any) -> Any:
    """The function by which generation counts M-RoPE positions."""
    return next(m for m in model.modules() if hasattr(m, "get_rope_index")).get_rope_index
