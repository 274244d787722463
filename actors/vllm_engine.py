"""vLLM inside this process: one stepping thread, one running batch for all callers."""

import itertools
import os
import queue
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from actors.starter_models import starter_text_model
from actors.text_engine import Reply, Request, engine_name, read_reply
from actors.weights import resolve
from pipelines.config import TextSettings
from pipelines.errors import EnvironmentFault

STUCK_S = 3600.0
"""A step takes seconds on the slowest machine; an engine that makes none in an hour makes none. A queue is no fault."""


class EngineLoop:
    """One thread that owns a vLLM `LLMEngine`: it adds what callers hand in, steps, and resolves their futures.

    Requests of all callers share the running batch (continuous batching). The engine is built in the same thread,
    because OpenMP's and torch's thread settings belong to a thread.
    """

    def __init__(self, make: Any) -> None:
        self._incoming: queue.SimpleQueue[tuple[Any, Any, Future[Any]]] = queue.SimpleQueue()
        self._waiting: dict[str, Future[Any]] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._ready: Future[Any] = Future()
        self.fault: BaseException | None = None
        self._stepped_at = time.monotonic()
        threading.Thread(target=self._run, args=(make,), name="text-engine", daemon=True).start()
        self.engine = self._ready.result()

    def submit(self, prompt: Any, params: Any) -> "Future[Any]":
        """The finished `RequestOutput`, some time later.

        Raises:
            EnvironmentFault: the engine is dead.
        """
        future: Future[Any] = Future()
        with self._lock:  # after the fault nothing may enter a queue that nobody reads
            if self.fault is not None:
                raise _engine_fault(self.fault)
            self._incoming.put((prompt, params, future))
        return future

    def answer(self, future: "Future[Any]") -> Any:
        """What the future holds, however long the queue; an engine that makes no step for `STUCK_S` is dead.

        Raises:
            EnvironmentFault: the engine is dead.
        """
        while True:
            try:
                return future.result(STUCK_S)
            except TimeoutError:
                if time.monotonic() - self._stepped_at >= STUCK_S:
                    self._fail(TimeoutError(f"no step within {STUCK_S} s"))

    def _run(self, make: Any) -> None:
        try:
            engine = make()
            self._ready.set_result(engine)
            while True:
                self._admit(engine)
                self._stepped_at = time.monotonic()
                for output in engine.step():
                    if output.finished:
                        self._waiting.pop(output.request_id).set_result(output)
        finally:  # only a fault leads here; whatever it was, it reaches everybody who waits
            self._fail(sys.exception() or RuntimeError("the stepping thread ended"))

    def _admit(self, engine: Any) -> None:
        """Hand over all that came in; sleeps while there is nothing to do."""
        while not self._incoming.empty() or not engine.has_unfinished_requests():
            prompt, params, future = self._incoming.get()
            number = str(next(self._numbers))
            self._waiting[number] = future
            engine.add_request(number, prompt, params)

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self.fault = error
            while not self._incoming.empty():
                self._waiting[f"unsent-{next(self._numbers)}"] = self._incoming.get()[2]
        if not self._ready.done():
            self._ready.set_exception(error)
        for future in list(self._waiting.values()):
            if not future.done():
                future.set_exception(_engine_fault(error))


def _engine_fault(error: BaseException) -> EnvironmentFault:
    return EnvironmentFault(f"The text engine failed: {type(error).__name__}: {error}")


class VllmEngine:
    """vLLM inside this process, so that no child outlives an actor that is killed."""

    def __init__(self, settings: TextSettings, *, threads: int, gpu_memory_share: float) -> None:
        """Load the model.

        Raises:
            EnvironmentFault: vLLM could not start.
        """
        self._settings = settings
        self._model = str(starter_text_model() if settings.model == "starter" else resolve(settings.model))
        self.name = engine_name(settings)
        _prepare_environment(threads, local=os.path.isdir(self._model))
        try:
            self._loop = EngineLoop(lambda: self._make(threads, gpu_memory_share))
        except (RuntimeError, ValueError, OSError, ImportError) as error:
            raise _engine_fault(error) from error
        self._tokenizer = self._loop.engine.get_tokenizer()
        self._tokenizing = threading.Lock()  # fast tokenizers refuse to be shared ("Already borrowed")

    def _make(self, threads: int, gpu_memory_share: float) -> Any:
        import torch
        from vllm import EngineArgs, LLMEngine

        on_cpu = not torch.cuda.is_available()
        if on_cpu:
            torch.set_num_threads(threads)
        arguments = EngineArgs(
            model=self._model,
            dtype=self._settings.dtype,
            max_model_len=self._settings.max_model_len,
            enforce_eager=on_cpu,
            enable_prefix_caching=False,
            gpu_memory_utilization=gpu_memory_share,
            generation_config="vllm",
            seed=0,
            disable_log_stats=True,
        )
        return LLMEngine.from_engine_args(arguments)

    @property
    def dead(self) -> bool:
        """The engine raised while stepping."""
        return self._loop.fault is not None

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request, in order; temperature 0. Callable from many threads at once.

        A prompt that leaves no room for `max_tokens` in the context is not sent: failure `length`.

        Raises:
            EnvironmentFault: the engine is dead.
        """
        pending: list[Future[Any] | None] = []
        for request in requests:
            ids = self.token_ids(request)
            fits = len(ids) + request.max_tokens <= self._settings.max_model_len
            pending.append(self._loop.submit({"prompt_token_ids": ids}, self.sampling(request)) if fits else None)
        outputs = [None if future is None else self._loop.answer(future) for future in pending]
        return [_vllm_reply(r, output) for r, output in zip(requests, outputs, strict=True)]

    def token_ids(self, request: Request) -> list[int]:
        """The request in the model's chat template; the template's own tokens cannot be spoken by system or user."""
        messages = [
            {"role": role, "content": self._disarm(text)}
            for role, text in (("system", request.system), ("user", request.user))
        ]
        with self._tokenizing:
            ids = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        return list(ids)

    def _disarm(self, text: str) -> str:
        for token in self._tokenizer.all_special_tokens:
            text = text.replace(token, " ")
        return text

    def sampling(self, request: Request) -> Any:
        """vLLM's parameters for the request."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        return SamplingParams(
            temperature=0.0,
            seed=0,
            max_tokens=request.max_tokens,
            output_kind=RequestOutputKind.FINAL_ONLY,
            structured_outputs=StructuredOutputsParams(json=request.schema(), disable_any_whitespace=True),
        )


def _vllm_reply(request: Request, output: Any | None) -> Reply:
    if output is None:
        return Reply(failure="length")
    text = output.outputs[0]
    return read_reply(request, text.text, text.finish_reason)


def _prepare_environment(threads: int, *, local: bool) -> None:
    """Environment variables that vLLM reads while it is imported."""
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # the engine core in this process: no orphan holds memory
    os.environ["VLLM_NO_USAGE_STATS"] = os.environ["DO_NOT_TRACK"] = "1"
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB; unset, vLLM takes most of the machine
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")  # cores are shared with the other actors
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if local:
        os.environ["HF_HUB_OFFLINE"] = "1"
