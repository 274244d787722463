"""One replica: a vLLM engine behind vLLM's own OpenAI chat class. It sees only requests that the gateway has checked."""

import json
import os
from argparse import Namespace
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.weights import resolve
from pipelines.errors import UsageError
from serve.config import ServeConfig

LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM accepts as `max_lora_rank`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A LoRA adapter, and the name by which requests ask for it."""

    name: str
    folder: str
    rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What is served: a folder or hub name, its public name, its adapters."""

    source: str
    name: str
    adapters: tuple[Adapter, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The base model's name, then the adapters'."""
        return (self.name, *(a.name for a in self.adapters))


def read_adapter(text: str) -> Adapter:
    """`name=folder`, with what its `adapter_config.json` says.

    Raises:
        UsageError: there is no adapter, or vLLM would drop a part of it.
    """
    name, equals, folder = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--adapters takes name=folder, not '{text}'.")
    try:
        config = json.loads((Path(folder) / "adapter_config.json").read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} holds no LoRA adapter: its adapter_config.json cannot be read.") from error
    if config.get("peft_type") != "LORA" or not isinstance(config.get("r"), int) or not 0 < config["r"] <= LORA_RANKS[-1]:
        raise UsageError(f"{folder} holds no LoRA adapter of rank 1 to {LORA_RANKS[-1]}.")
    if any("visual" in tensor or "vision" in tensor for tensor in _tensor_names(Path(folder))):
        raise UsageError(f"The adapter {folder} changes the vision tower, which vLLM would ignore: merge it into the model.")
    return Adapter(name=name, folder=str(Path(folder).resolve()), rank=config["r"])


def _tensor_names(folder: Path) -> list[str]:
    import safetensors

    try:
        with safetensors.safe_open(folder / "adapter_model.safetensors", "np") as file:
            return list(file.keys())
    except (OSError, safetensors.SafetensorError) as error:
        raise UsageError(f"{folder} holds no LoRA adapter: adapter_model.safetensors cannot be read.") from error


def model_source(model: str) -> str:
    """A folder or hub name that vLLM loads; `starter` is the starter VLM, made here if it is not yet in the cache."""
    if model == "starter":
        from train.starter_vlm import starter_vlm

        return str(starter_vlm())
    if model.startswith((".", "/", "~")) and not Path(model).expanduser().is_dir():
        raise UsageError(f"There is no model folder {model}.")
    folder = Path(model).expanduser()
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise UsageError(f"{model} is no Hugging Face checkpoint: it has no config.json.")
    return str(resolve(str(Path(model).expanduser()) if model.startswith("~") else model))


def public_name(model: str, config: ServeConfig) -> str:
    """The name that requests use."""
    return config.engine.name or Path(model).name or model


def engine_arguments(model: str, name: str, adapters: tuple[Adapter, ...], config: ServeConfig) -> list[str]:
    """vLLM's command line for this server."""
    engine, media = config.engine, config.media
    words = ["--model", model, "--served-model-name", name, "--dtype", engine.dtype, "--seed", "0",
             "--generation-config", "vllm", "--disable-log-stats", "--no-enable-prefix-caching",
             "--limit-mm-per-prompt", json.dumps({"image": media.images, "video": media.videos}),
             "--media-io-kwargs", json.dumps({"video": {"num_frames": -1}}), "--mm-processor-cache-gb", "0",
             # the most that is generated, whether or not a request says how much it wants
             "--override-generation-config", json.dumps({"max_new_tokens": config.limits.max_tokens})]  # fmt: skip
    if engine.max_model_len:
        words += ["--max-model-len", str(engine.max_model_len)]
    if engine.gpus:
        words += ["--tensor-parallel-size", str(engine.gpus), "--gpu-memory-utilization", str(engine.gpu_memory_share)]
    else:
        words += ["--enforce-eager"]
    if adapters:
        rank = next(r for r in LORA_RANKS if r >= max(a.rank for a in adapters))
        words += ["--enable-lora", "--max-lora-rank", str(rank), "--max-loras", str(min(len(adapters), 8)),
                  "--max-cpu-loras", str(len(adapters)), "--lora-modules",
                  *(f"{a.name}={a.folder}" for a in adapters)]  # fmt: skip
    return words


def prepare_environment(config: ServeConfig, *, local: bool) -> None:
    """What vLLM reads while it is imported, and hands to its children."""
    engine = config.engine
    os.environ["VLLM_NO_USAGE_STATS"] = os.environ["DO_NOT_TRACK"] = "1"
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    if not engine.gpus:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # no further process for the one worker of a CPU
        os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(engine.cpu_cache_gib)  # GiB; unset, vLLM takes most of the machine
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        os.environ["OMP_NUM_THREADS"] = str(engine.threads or max(1, int(engine.cpus)))
    if local:
        os.environ["HF_HUB_OFFLINE"] = "1"


class Refused(Exception):
    """vLLM's own refusal of a request: an HTTP status and OpenAI's error object."""

    def __init__(self, status: int, message: str, param: str | None = None) -> None:
        super().__init__(status, message, param)
        self.status, self.message, self.param = status, message, param


class ChatModel:
    """The engine and vLLM's chat class, without Ray: `await ChatModel.start(...)`, then `chat(body)`."""

    def __init__(self, engine: Any, state: Any, control_tokens: tuple[str, ...]) -> None:
        self._engine, self._state, self._control_tokens = engine, state, control_tokens

    @staticmethod
    async def start(model: str, name: str, adapters: tuple[Adapter, ...], config: ServeConfig) -> "ChatModel":
        """Load the weights; returns when the first request can be answered."""
        prepare_environment(config, local=os.path.isdir(model))
        from starlette.datastructures import State
        from vllm import AsyncEngineArgs
        from vllm.entrypoints.launchers.api_server.app_state import init_app_state
        from vllm.entrypoints.launchers.cli_args import make_arg_parser
        from vllm.utils.argparse_utils import FlexibleArgumentParser
        from vllm.v1.engine.async_llm import AsyncLLM

        arguments: Namespace = make_arg_parser(FlexibleArgumentParser()).parse_args(
            engine_arguments(model, name, adapters, config)
        )
        arguments.model = model
        engine = AsyncLLM.from_engine_args(AsyncEngineArgs.from_cli_args(arguments))
        state = State()
        await init_app_state(engine, state, arguments, await engine.get_supported_tasks())
        tokenizer = engine.get_tokenizer()
        special = {str(t) for t in tokenizer.added_tokens_decoder.values() if t.special}
        return ChatModel(engine, state, tuple(sorted(special | set(tokenizer.all_special_tokens))))

    async def chat(self, body: dict[str, Any]) -> AsyncGenerator[str, None]:
        """The reply: one JSON text, or the lines of a server-sent stream.

        Raises:
            Refused: the request cannot be answered; nothing was yielded.
        """
        import pydantic
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest, ChatCompletionResponse
        from vllm.entrypoints.serve import create_error_response
        from vllm.exceptions import VLLMError

        self._refuse_control_tokens(body)
        try:
            request = ChatCompletionRequest.model_validate(body)
            reply = await self._state.openai_serving_chat.create_chat_completion(request)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise Refused(400, str(first["msg"]), ".".join(map(str, first["loc"])) or None) from error
        except (VLLMError, ValueError, TypeError, OverflowError) as error:
            reply = create_error_response(error)
        if isinstance(reply, ChatCompletionResponse):
            yield reply.model_dump_json(exclude_none=False)
        elif isinstance(reply, AsyncIterator):
            async for line in reply:
                yield line
        else:
            raise Refused(int(reply.error.code), reply.error.message, reply.error.param)

    def _refuse_control_tokens(self, body: dict[str, Any]) -> None:
        """A text that spells one of the model's own tokens could forge turns, or pictures that are not there."""
        for message in body["messages"]:
            content = message["content"]
            texts = [content] if isinstance(content, str) else [p["text"] for p in content if p["type"] == "text"]
            # templates join a message's parts without a separator, some trim each first: a token may be split over parts
            for text in ("".join(texts), "".join(map(str.strip, texts)), message.get("name") or ""):
                found = next((t for t in self._control_tokens if t in text), None)
                if found:
                    raise Refused(400, f"A message holds the model's control token {found}; spell it otherwise.", "messages")

    async def check(self) -> None:
        """Raises if the engine is dead."""
        await self._engine.check_health()

    def stop(self) -> None:
        """End the engine's process."""
        self._engine.shutdown()
