import pytest

from cluster import doctor
from pipelines.errors import EnvironmentFault


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
    assert all(f.wrong and str(fault) in f.state and f.remedy == "make setup" for f in broken)
