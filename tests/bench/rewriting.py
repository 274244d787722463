"""Texts of 16 clips as the write stage asks for them, and bare vLLM with the same prompts; each in a process of its own.

    python -m tests.bench.rewriting ours|bare PROMPTS.json

`ours` writes its prompts to the file, `bare` reads them. The last line printed is the median of three, seconds.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.bench.timing import REPEATS, median_s
from tests.lectures.script import HISTOPATHOLOGY, MRI, MRI_PLANES, OPHTHALMOLOGY


def ours(file: Path) -> None:
    """The write stage's rewriter, as many rows at a time as in a run."""
    from actors.rewriter import Rewriter
    from pipelines import recipes
    from pipelines.schema import Clip, Domain

    config = recipes.starter()
    words = [s.text for lecture in (MRI, HISTOPATHOLOGY, OPHTHALMOLOGY, MRI_PLANES) for scene in lecture.scenes
             for s in scene.sentences]  # fmt: skip
    texts = [" ".join(words[i % len(words)] for i in range(3 * n, 3 * n + 12)) for n in range(16)]
    made_up: dict[str, Any] = {"domain": Domain.MRI, "start_s": 0.0, "end_s": 60.0, "segmenter": "bench"}
    clips = [Clip(clip_id=str(n), raw_text=text, **made_up) for n, text in enumerate(texts)]
    rewriter = Rewriter(config.text, threads=1, gpu_memory_share=0.5, admission_folder=None)
    engine: Any = rewriter._engine
    asked = []
    generate = engine.generate
    engine.generate = lambda requests: asked.extend(requests) or generate(requests)
    rewriter(clips[:1])
    asked.clear()
    rows = config.resources.write.concurrent_rows
    with ThreadPoolExecutor(rows) as threads:
        seconds = median_s(lambda: list(threads.map(lambda clip: rewriter([clip]), clips)))
    prompts = [{"ids": engine.token_ids(r), "max_tokens": r.max_tokens, "schema": r.schema()} for r in asked]
    file.write_text(json.dumps(prompts[: len(asked) // REPEATS]))
    print(seconds, flush=True)


def bare(file: Path) -> None:
    """vLLM's own `LLM.generate` over the same prompts in one call."""
    from actors.starter_models import starter_text_model
    from actors.vllm_engine import _prepare_environment
    from pipelines import recipes

    _prepare_environment(1, local=True)
    import torch
    from vllm import LLM, SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    torch.set_num_threads(1)
    settings = recipes.starter().text
    llm = LLM(model=str(starter_text_model()), dtype=settings.dtype, max_model_len=settings.max_model_len,
              enforce_eager=True, enable_prefix_caching=False, generation_config="vllm", seed=0)  # fmt: skip
    prompts = json.loads(file.read_text())
    ids = [{"prompt_token_ids": p["ids"]} for p in prompts]
    params = [SamplingParams(temperature=0.0, seed=0, max_tokens=p["max_tokens"], structured_outputs=StructuredOutputsParams(
              json=p["schema"], disable_any_whitespace=True)) for p in prompts]  # fmt: skip
    llm.generate(ids[:3], params[:3], use_tqdm=False)
    print(median_s(lambda: llm.generate(ids, params, use_tqdm=False)), flush=True)


if __name__ == "__main__":
    {"ours": ours, "bare": bare}[sys.argv[1]](Path(sys.argv[2]))
    os._exit(0)  # the engine's threads would keep the process
