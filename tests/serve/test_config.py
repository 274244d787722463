"""Settings that cannot work are refused at birth, and the options that Ray Serve gets do scale."""

from pathlib import Path

import pytest

from pipelines.errors import UsageError
from pipelines.settings import all_settings, with_settings
from serve.config import HttpSettings, ScalingSettings, ServeConfig


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("http.port=0", "http.port"),
        ("http.port=a", "http.port"),
        ("http.tls_cert_file=x.pem", "set together"),
        ("limits.request_bytes=0", "limits.request_bytes"),
        ("limits.requests_per_minute=-1", "limits.requests_per_minute"),
        ("media.frames=0", "media.frames"),
        ("media.redirects=-1", "media.redirects"),
        ("media.private_networks=10.0.0.0/99", "no network"),
        ("engine.dtype=int3", "engine.dtype"),
        ("engine.gpu_memory_share=1.5", "gpu_memory_share"),
        ("scaling.queued=0", "scaling.queued"),
        ("scaling.min_replicas=2", "min_replicas"),
        ("scaling.none=2", "no setting 'scaling.none'"),
        ("media.allowed_hosts", "key=value"),
    ],
)
def test_wrong_settings_are_one_sentence(assignment: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        with_settings(ServeConfig(), [assignment], "preceptor serve settings")


def test_lists_take_commas() -> None:
    config = with_settings(ServeConfig(), ["media.allowed_hosts=a.org, *.b.org"])
    assert config.media.allowed_hosts == ("a.org", "*.b.org")
    assert with_settings(config, ["media.allowed_hosts="]).media.allowed_hosts == ()
    assert "limits.request_bytes" in all_settings(config)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "example.org"])
def test_keyless_is_for_the_loopback_only(host: str) -> None:
    assert not HttpSettings(host=host).loopback
    with pytest.raises(UsageError, match="loopback"):
        HttpSettings(host=host, keyless=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_the_loopback_may_be_keyless(host: str) -> None:
    assert HttpSettings(host=host, keyless=True).loopback


def test_the_default_binds_the_loopback_and_wants_keys() -> None:
    assert HttpSettings().loopback
    assert not HttpSettings().keyless


def test_a_target_that_is_never_reached_is_refused() -> None:
    with pytest.raises(UsageError, match=r"scaling\.target"):
        ScalingSettings(max_replicas=4, running=16, target=16)


@pytest.mark.filterwarnings("ignore:Using extra keyword")  # Ray's own
def test_autoscaling_options_reach_ray_serve_and_queues_end() -> None:
    from serve.app import deployment_options

    config = ServeConfig(scaling=ScalingSettings(min_replicas=1, max_replicas=3, running=8, target=4, queued=5))
    gateway, model = deployment_options(config)
    scaling = model["autoscaling_config"]
    assert scaling["target_ongoing_requests"] == 4 < model["max_ongoing_requests"] == 8
    assert (scaling["min_replicas"], scaling["max_replicas"]) == (1, 3)
    assert model["max_queued_requests"] == 8 + 5  # a burst that one replica takes, and those that wait
    assert config.admitted == 29 < gateway["max_ongoing_requests"]
    assert gateway["max_queued_requests"] >= config.admitted  # Serve must not refuse a burst that the gateway has room for
    assert gateway["backpressure_config"]["status_code"] == 429
    assert "num_replicas" not in model
    assert deployment_options(ServeConfig())[1]["num_replicas"] == 1
    two = ServeConfig(scaling=ScalingSettings(max_replicas=3, min_replicas=3, running=5, queued=4, gateways=2))
    assert (two.admitted, two.unassigned) == (12, 12)  # half of 15 run, rounded up, and 4 wait


def test_the_starter_is_the_vision_language_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from serve.model import model_source
    from train import starter_vlm

    monkeypatch.setattr(starter_vlm, "starter_vlm", lambda: tmp_path / "starter-vlm")
    assert model_source("starter") == str(tmp_path / "starter-vlm")
