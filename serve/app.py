"""The server on Ray Serve: gateways in front, vLLM replicas behind."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

import ray.serve
from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RayServeException
from ray.serve.handle import DeploymentHandle
from starlette.types import ASGIApp

from serve.config import ServeConfig
from serve.errors import ApiError
from serve.gateway import Gateway
from serve.model import ChatModel, Refused, Served

APP = "preceptor"


class ModelReplica:
    """One engine. A refusal travels as a value: errors change their class between processes."""

    async def __init__(self, served: Served, config: ServeConfig) -> None:  # type: ignore[misc]
        self._model = await ChatModel.start(served.source, served.name, served.adapters, config)

    async def chat(self, body: dict[str, Any]) -> AsyncGenerator[str | tuple[int, str, str | None], None]:
        """The lines of the answer, or one refusal (status, sentence, parameter)."""
        try:
            async with contextlib.aclosing(self._model.chat(body)) as lines:
                async for line in lines:
                    yield line
        except Refused as error:
            yield error.status, error.message, error.param

    async def check_health(self) -> None:
        """Asked by Ray Serve; a dead engine's replica is replaced."""
        await self._model.check()

    def __del__(self) -> None:
        if hasattr(self, "_model"):
            self._model.stop()


class HandleBackend:
    """Model replicas behind a Serve handle."""

    def __init__(self, handle: DeploymentHandle, overloaded: Callable[[], ApiError]) -> None:
        self._handle = handle.options(method_name="chat", stream=True)
        self._overloaded = overloaded
        self._ready, self._asked = False, -10.0

    async def chat(self, body: dict[str, Any]) -> AsyncGenerator[str, None]:
        """The replica's lines.

        Raises:
            ApiError: the replica's refusal, 429 where no replica has room, 503 where there is none.
        """
        answer = self._handle.remote(body)
        finished = False
        try:
            async for item in answer:
                if isinstance(item, tuple):
                    finished = True
                    status, message, param = item
                    raise ApiError(status, message, param=param)
                yield item
            finished = True
        except BackPressureError as error:
            finished = True
            raise self._overloaded() from error
        except (RayServeException, DeploymentUnavailableError, RayError) as error:
            finished = True
            logging.getLogger("ray.serve").error("The model failed: %s", type(error).__name__)
            raise ApiError(503, "The model failed on this request or is being restarted.", retry_after_s=10) from error
        finally:
            if not finished:  # the client went away: the engine stops working on it
                answer.cancel()

    async def ready(self) -> bool:
        """Whether Serve counts a healthy model replica; asked at most once a second."""
        if time.monotonic() - self._asked > 1.0:
            self._ready = await asyncio.get_running_loop().run_in_executor(None, model_is_up)
            self._asked = time.monotonic()
        return self._ready


def model_is_up() -> bool:
    """Whether a model replica runs."""
    app = ray.serve.status().applications.get(APP)
    model = app.deployments.get("model") if app else None
    return model is not None and int(model.replica_states.get("RUNNING", 0)) > 0


class GatewayReplica:
    """A gateway in Ray Serve."""

    def __init__(self, served: Served, config: ServeConfig, model: DeploymentHandle) -> None:
        self._gateway = Gateway(config, served.names, HandleBackend(model, lambda: self._gateway.overloaded()))

    async def __serve_build_asgi_app__(self) -> ASGIApp:
        return self._gateway.app()

    def drain(self) -> int:
        """Refuse new requests from now on; how many still run."""
        self._gateway.draining = True
        return self._gateway.running

    def __del__(self) -> None:
        if hasattr(self, "_gateway"):
            self._gateway.close()


def deployment_options(config: ServeConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """Ray Serve's options of the gateway and of the model."""
    scaling, engine = config.scaling, config.engine
    gateway = {
        "name": "gateway",
        "num_replicas": scaling.gateways,
        # it must take a request to answer 429 in OpenAI's form; beyond that Serve itself answers 429
        "max_ongoing_requests": config.admitted + 64,
        "max_queued_requests": config.admitted + 64,
        "backpressure_config": {"status_code": 429, "retry_after_s": float(scaling.retry_after_s)},
        "ray_actor_options": {"num_cpus": 0.5},
        "graceful_shutdown_timeout_s": config.http.drain_s,
        "max_constructor_retry_count": 2,
    }
    model: dict[str, Any] = {
        "name": "model",
        "max_ongoing_requests": scaling.running,
        "max_queued_requests": config.unassigned,
        "ray_actor_options": {"num_cpus": engine.cpus, "num_gpus": engine.gpus},
        "graceful_shutdown_timeout_s": config.http.drain_s,
        "health_check_timeout_s": 60.0,
        "max_constructor_retry_count": 2,
    }
    if scaling.max_replicas > scaling.min_replicas:
        model["autoscaling_config"] = {
            "min_replicas": scaling.min_replicas,
            "max_replicas": scaling.max_replicas,
            "target_ongoing_requests": scaling.target,
            "upscale_delay_s": scaling.upscale_delay_s,
            "downscale_delay_s": scaling.downscale_delay_s,
        }
    else:
        model["num_replicas"] = scaling.min_replicas
    return gateway, model


def application(served: Served, config: ServeConfig, model: type = ModelReplica) -> ray.serve.Application:
    """The Serve application; `model` may be another class with a `chat` method."""
    gateway_options, model_options = deployment_options(config)
    behind = ray.serve.deployment(**model_options)(model).bind(served, config)
    return ray.serve.deployment(**gateway_options)(ray.serve.ingress()(GatewayReplica)).bind(served, config, behind)
