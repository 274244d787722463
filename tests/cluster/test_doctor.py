import pytest

from cluster import doctor
from pipelines.errors import EnvironmentFault


@pytest.mark.parametrize(("address", "remedy"), [("10.0.0.1:6379", "check RAY_ADDRESS"), (None, "see the logs")])
def test_a_ray_that_does_not_start_has_its_own_remedy(
    monkeypatch: pytest.MonkeyPatch, address: str | None, remedy: str
) -> None:
    def cluster(config: object) -> object:
        raise EnvironmentFault("no answer")

    monkeypatch.setattr("cluster.connect.cluster", cluster)
    monkeypatch.setattr("cluster.connect.set_environment", lambda: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if address:
        monkeypatch.setenv("RAY_ADDRESS", address)
    found = doctor._ray()
    assert found.wrong
    assert found.remedy is not None
    assert found.remedy.startswith(remedy)


@pytest.mark.parametrize("fault", [EnvironmentFault("a package is missing"), ImportError("No module named 'torch'")])
def test_a_check_that_falls_over_is_a_finding(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    def falls() -> doctor.Finding:
        raise fault

    for name in ("_torch", "_torchvision", "_ray"):
        monkeypatch.setattr(doctor, name, falls)
    findings = doctor.examine()
    assert len(findings) == 11
    broken = [f for f in findings if f.subject == "falls"]
    assert len(broken) == 3
    assert all(f.wrong and str(fault) in f.state and f.remedy == "make -B setup" for f in broken)
