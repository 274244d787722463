"""`preceptor serve` as a command: its keys, and what it refuses before anything is started."""

import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cluster.cli import app
from pipelines.errors import UsageError
from serve import keys
from serve.config import EngineSettings, HttpSettings, ScalingSettings, ServeConfig
from serve.run import logical_cpus, prepare

ROOT = Path(__file__).resolve().parents[2]


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "cluster.cli", "serve", *words], cwd=ROOT, capture_output=True, text=True)


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    file = str(tmp_path / "keys.json")

    def said(*words: str) -> str:
        result = CliRunner().invoke(app, ["serve", "keys", *words, "--file", file])
        assert result.exit_code == 0, result.output
        return result.stdout.strip()

    assert "no keys" in said("list")
    key = said("add", "anna")
    assert keys.KeyRing(Path(file)).owner(key) == "anna"
    assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600
    assert key not in said("list")
    assert said("revoke", "anna") == "revoked anna"
    assert "revoked 2" in said("list")


def test_the_model_may_stand_before_and_after_options() -> None:
    for words in (["run", "--help"], ["--port", "1", "MODEL", "--help"], ["MODEL", "--help"]):
        result = CliRunner().invoke(app, ["serve", *words])
        assert result.exit_code == 0
        assert "--adapters" in result.stdout
    assert "media.allowed_hosts" in CliRunner().invoke(app, ["serve", "settings"]).stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["MODEL", "--host", "0.0.0.0", "--keyless"], "loopback"),
        (["MODEL", "--set", "none.x=1"], "preceptor serve settings"),
        (["MODEL", "--set", "http.keys_file=/nowhere/keys.json"], "preceptor serve keys add"),
        (["/nowhere/model", "--keyless", "--port", "18439"], "no model folder /nowhere/model"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_status_2(words: list[str], sentence: str) -> None:
    run = command(*words)
    assert run.returncode == 2, run.stderr
    assert sentence in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1


def config(tmp_path: Path, **http: object) -> ServeConfig:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return ServeConfig(http=HttpSettings(**{"keyless": True, "port": port} | http))


def test_what_is_wrong_is_found_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    model = str(tmp_path / "model")
    assert prepare(model, [], config(tmp_path)).names == ("model",)
    for wrong, adapters, words in (
        (str(tmp_path / "empty"), [], "no config.json"),
        (model, ["x"], "name=folder"),
        (model, [f"x={tmp_path / 'empty'}"], "no LoRA adapter"),
    ):
        with pytest.raises(UsageError, match=words):
            prepare(wrong, adapters, config(tmp_path))
    with pytest.raises(UsageError, match="no file"):
        prepare(model, [], config(tmp_path, tls_cert_file="/nowhere/a", tls_key_file="/nowhere/b"))
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="cannot be listened on"):
        prepare(model, [], config(tmp_path, port=taken.getsockname()[1]))


def test_a_port_may_be_taken_by_the_serve_of_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert prepare(str(tmp_path), [], config(tmp_path, port=taken.getsockname()[1]))


def test_a_revoked_key_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    file = tmp_path / "keys.json"
    keys.add(file, "anna")
    wanted = config(tmp_path, keyless=False, keys_file=str(file))
    assert prepare(str(tmp_path), [], wanted)
    keys.revoke(file, "anna")
    with pytest.raises(UsageError, match="There is no API key"):
        prepare(str(tmp_path), [], wanted)


def test_a_cluster_of_our_own_has_room_for_every_replica() -> None:
    wanted = ServeConfig(scaling=ScalingSettings(max_replicas=3, gateways=2), engine=EngineSettings(cpus=4))
    assert logical_cpus(wanted) >= 3 * 4 + 1
