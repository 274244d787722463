"""Keys at rest, their revocation, and a file that cannot be trusted."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.errors import EnvironmentFault, UsageError
from serve import keys
from tests.conftest import ROOT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "keys.json"


def test_a_key_is_not_in_the_file_and_the_file_is_private(path: Path) -> None:
    key = keys.add(path, "anna")
    assert len(key) > 40
    assert key not in path.read_text()
    assert key.removeprefix(keys.PREFIX) not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir() if p.name != "keys.json.lock"] == ["keys.json"]


def test_each_key_opens_for_its_owner_only_until_revoked(path: Path) -> None:
    ring = keys.KeyRing(path)
    anna, ben = keys.add(path, "anna"), keys.add(path, "ben")
    assert (ring.owner(anna), ring.owner(ben)) == ("anna", "ben")
    assert ring.owner(anna[:-1]) is None
    assert ring.owner("") is None
    keys.revoke(path, "anna")
    assert (ring.owner(anna), ring.owner(ben)) == (None, "ben")
    assert [(k.name, k.revoked is None) for k in keys.read(path)] == [("anna", False), ("ben", True)]


def test_a_revoked_name_may_be_given_again_but_a_valid_one_not(path: Path) -> None:
    first = keys.add(path, "anna")
    with pytest.raises(UsageError, match="already a key named anna"):
        keys.add(path, "anna")
    keys.revoke(path, "anna")
    second = keys.add(path, "anna")
    ring = keys.KeyRing(path)
    assert (ring.owner(first), ring.owner(second)) == (None, "anna")
    with pytest.raises(UsageError, match="no valid key named carl"):
        keys.revoke(path, "carl")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101])
def test_names_are_words(path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        keys.add(path, name)


def test_without_a_file_nobody_enters(path: Path) -> None:
    ring = keys.KeyRing(path)
    assert ring.owner("pk-anything") is None
    key = keys.add(path, "anna")
    assert ring.owner(key) == "anna"
    path.unlink()
    assert ring.owner(key) is None


def test_a_file_that_others_may_read_or_that_is_damaged_admits_nobody(path: Path) -> None:
    key = keys.add(path, "anna")
    path.chmod(0o640)
    with pytest.raises(EnvironmentFault, match="chmod 600"):
        keys.KeyRing(path).owner(key)
    path.chmod(0o600)
    ring = keys.KeyRing(path)
    assert ring.owner(key) == "anna"
    path.write_text(json.dumps({"keys": [{"name": "anna"}]}))
    for _ in range(2):  # also the second time: the old keys are not kept beside a file that cannot be read
        with pytest.raises(EnvironmentFault, match="cannot be read"):
            ring.owner(key)


ADD_FIVE = """
import sys
import time
from pathlib import Path
from serve import keys
path, started, me = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
(started / me).touch()
while len(list(started.iterdir())) < 4:
    time.sleep(0.001)
for j in range(5):
    keys.add(path, f"{me}-{j}")
"""


def test_two_that_add_at_once_lose_nothing(path: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    started.mkdir()
    children = [subprocess.Popen([sys.executable, "-c", ADD_FIVE, str(path), str(started), str(i)], cwd=ROOT)
                for i in range(4)]  # fmt: skip
    try:
        assert [child.wait(60) for child in children] == [0] * 4
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert len(keys.read(path)) == 20
