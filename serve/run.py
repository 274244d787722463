"""The driver of a server: starts it, says when it is ready, and ends it gracefully on SIGTERM or Ctrl-C."""

import logging
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import EnvironmentFault, UsageError
from serve import keys
from serve.config import HttpSettings, ServeConfig
from serve.model import Served, model_source, public_name, read_adapter

if TYPE_CHECKING:
    from ray.serve.config import HTTPOptions

POLL_S = 0.5


def prepare(model: str, adapters: list[str], config: ServeConfig) -> Served:
    """Everything that can be wrong with the request, found before anything is started.

    Raises:
        UsageError: in one sentence.
    """
    http = config.http
    for name in ("tls_cert_file", "tls_key_file"):
        if getattr(http, name) and not Path(getattr(http, name)).is_file():
            raise UsageError(f"http.{name} names {getattr(http, name)}, which is no file.")
    if config.media.ca_file and not Path(config.media.ca_file).is_file():
        raise UsageError(f"media.ca_file names {config.media.ca_file}, which is no file.")
    if not http.keyless and not any(k.revoked is None for k in keys.read(http.keys_path)):
        raise UsageError(
            f"There is no API key in {http.keys_path}: make one with `preceptor serve keys add NAME`, "
            "or serve this machine only with --keyless."
        )
    if "RAY_ADDRESS" not in os.environ:  # in a cluster, Ray Serve may listen there already: `run` asks it
        _check_port(http.host, http.port)
    found = tuple(read_adapter(a) for a in adapters)
    served = Served(source=model_source(model), name=public_name(model, config), adapters=found)
    if len(set(served.names)) < len(served.names):
        raise UsageError(f"Two models have one name: {', '.join(served.names)}.")
    return served


def _check_port(host: str, port: int) -> None:
    """A taken port is said now, and not by a proxy that Ray starts again and again."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as error:
        raise UsageError(f"{host}:{port} cannot be listened on: {error.strerror or error}.") from error


def check_running(http: HttpSettings, live: "HTTPOptions", applications: Collection[str]) -> None:
    """Whether a Ray Serve that runs already can serve as wanted: it keeps its own options, whatever it is started with.

    Raises:
        UsageError: it listens otherwise, or serves an application of our name, which would be replaced.
    """
    from serve.app import APP

    wanted = _listening(http.host, http.port, http.tls_cert_file, http.tls_key_file)
    there = _listening(live.host, live.port, live.ssl_certfile, live.ssl_keyfile)
    if there != wanted:
        raise UsageError(f"Ray Serve already runs in this cluster and listens on {there}, not on {wanted}.")
    if APP in applications:
        raise UsageError(
            f"This cluster already serves an application named {APP}: end its `preceptor serve` first "
            f'or, if that was killed, ray.serve.delete("{APP}").'
        )


def _listening(host: str | None, port: int, cert_file: str | None, key_file: str | None) -> str:
    return f"{host}:{port} " + (f"with TLS ({cert_file}, {key_file})" if cert_file or key_file else "without TLS")


def logical_cpus(config: ServeConfig) -> int:
    """What a cluster of our own must offer, so that every replica finds a place."""
    scaling = config.scaling
    return math.ceil(scaling.max_replicas * config.engine.cpus + 0.5 * scaling.gateways) + 2


def run(
    served: Served,
    config: ServeConfig,
    *,
    connect: Callable[..., AbstractContextManager[None]],
    say: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT, then let running requests finish. A second signal ends at once.

    Raises:
        UsageError: the port is taken, or Ray Serve already runs in the cluster and serves otherwise.
        EnvironmentFault: the model could not be loaded.
    """
    import ray.serve
    import ray.serve.context

    from serve.app import APP, application

    stop = threading.Event()
    http = config.http
    secure = bool(http.tls_cert_file)
    with connect(logical_cpus=logical_cpus(config)):
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        running = ray.serve.context._get_global_client(raise_if_no_controller_running=False)
        if running is None:
            _check_port(http.host, http.port)
        else:
            check_running(http, running.http_config, ray.serve.status().applications)
        _on_signal(stop)
        ray.serve.start(
            proxy_location="HeadOnly" if http.loopback else "EveryNode",
            http_options={
                "host": http.host, "port": http.port, "ssl_keyfile": http.tls_key_file or None,
                "ssl_certfile": http.tls_cert_file or None, "request_timeout_s": config.limits.request_timeout_s + 30,
            },
        )  # fmt: skip
        try:
            ray.serve.run_many(
                [ray.serve.RunTarget(target=application(served, config), name=APP, route_prefix="/")],
                wait_for_applications_running=False,
            )
            if not http.loopback and not secure:
                say("warning: keys and questions travel unencrypted; set http.tls_cert_file and http.tls_key_file, "
                    "or put a TLS proxy in front")  # fmt: skip
            if _wait_until_ready(config, stop):
                address = f"{'https' if secure else 'http'}://{http.host}:{http.port}/v1"
                say(f"ready: {address} serves {', '.join(served.names)}")
                _watch(stop)
                say("draining: new requests are refused, running ones finish")
                _drain(http.drain_s, say)
        finally:
            ray.serve.delete(APP)  # a cluster of our own ends with this block; another one keeps what else it serves
    say("ended")


def _on_signal(stop: threading.Event) -> None:
    def handle(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


def _wait_until_ready(config: ServeConfig, stop: threading.Event) -> bool:
    """Whether the model is up; False if told to stop before."""
    from serve.app import model_is_up

    deadline = time.monotonic() + config.engine.start_timeout_s
    while not stop.wait(POLL_S):
        if model_is_up():
            return True
        _raise_if_failed()
        if time.monotonic() > deadline:
            raise EnvironmentFault(f"The model did not load within {config.engine.start_timeout_s:g} s.")
    return False


def _raise_if_failed() -> None:
    import ray.serve

    from serve.app import APP

    app = ray.serve.status().applications.get(APP)
    if app is not None and app.status == "DEPLOY_FAILED":
        lines = [d.message for d in app.deployments.values() if d.message] or [app.message]
        words = [line.strip() for line in lines[0].splitlines() if line.strip()]
        raise EnvironmentFault(f"The server could not start: {_last_error(words)}")


def _last_error(lines: list[str]) -> str:
    """The line of a traceback that says what is wrong."""
    telling = [line for line in lines if "Error" in line or "Exception" in line or "Fault" in line]
    return (telling or lines or ["no reason given"])[-1][:500]


def _watch(stop: threading.Event) -> None:
    while not stop.wait(POLL_S):
        pass


def _drain(drain_s: float, say: Callable[[str], None]) -> None:
    """Tell every gateway to refuse, until nothing runs or the time is over."""
    import ray.serve
    from ray.exceptions import RayError

    from serve.app import APP

    gateway = ray.serve.get_deployment_handle("gateway", APP)
    deadline = time.monotonic() + drain_s
    while time.monotonic() < deadline:
        try:
            left = sum(gateway.broadcast("drain").results(timeout_s=10))
        except (RayError, TimeoutError) as error:
            say(f"draining: a gateway does not answer ({type(error).__name__})")
            return
        if left == 0:
            time.sleep(POLL_S)  # the last lines are on their way through the proxy
            return
        time.sleep(POLL_S)
    say(f"draining: {left} requests did not finish within {drain_s:g} s")
