"""Where a run computes: the Ray cluster it is told of, or a private one on this machine."""

import contextlib
import logging
import os
import secrets
import tempfile
from collections.abc import Iterator

from pipelines.errors import EnvironmentFault


def set_environment() -> None:
    """What Ray reads when it is first imported: call before any module that imports it.

    A cluster of our own asks every caller for a token made for this run.
    """
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if "RAY_ADDRESS" not in os.environ and "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


@contextlib.contextmanager
def cluster(config: object = None, *, logical_cpus: int | None = None) -> Iterator[None]:
    """Connect to the cluster in RAY_ADDRESS, or start one here and end it afterwards.

    A cluster of our own gets more logical CPUs than the machine has cores: every stage's actor, Ray's reader, its
    checkpoint filter and the writer must find a place at once, or nothing ever starts. It listens on the loopback
    address only.
    """
    address = os.environ.get("RAY_ADDRESS")
    import ray

    logging.getLogger("ray.data").setLevel(logging.ERROR)  # the rest is in Ray's own log folder
    try:
        _connect(address, logical_cpus)
    except Exception as error:  # a machine too busy for Ray's own 30 s, a full disk, an address that does not answer
        raise EnvironmentFault(f"Ray does not start here: {error}" if address is None else f"{address}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _connect(address: str | None, logical_cpus: int | None) -> None:
    import ray

    if address is not None:
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
    else:
        ray.init(
            address="local",
            num_cpus=logical_cpus or max(8, 2 * (os.cpu_count() or 1)),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
            object_store_memory=512 << 20,
            # no worker per logical CPU in advance: on two cores their start-up would delay the stages' own
            _system_config={
                "prestart_worker_first_driver": False,
                "enable_worker_prestart": False,
                # one process a stage is meant, and no reason for Ray's warnings about "too many" of them
                "worker_maximum_startup_concurrency": 16,
            },
            _node_ip_address="127.0.0.1",
            _temp_dir=os.environ.get("RAY_TMPDIR") or os.path.join(tempfile.gettempdir(), "ray"),
        )
