"""In processes of their own, because what is asked of glibc holds for the whole process."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these calls")

HOLES = """
import psutil
from actors.memory import give_back, give_back_large_blocks

def holes(size):
    '''Blocks with small ones between them that stay, so that what is freed lies in holes.'''
    kept, dropped = [], []
    for _ in range(60_000_000 // size):
        dropped.append(bytearray(size))
        kept.append(bytearray(2000))
    return kept

def resident():
    return psutil.Process().memory_info().rss / 1e6

before = resident()
"""


def grown_mb(script: str) -> float:
    done = subprocess.run([sys.executable, "-c", HOLES + script + "\nprint(resident() - before)"],
                          check=True, capture_output=True, text=True)  # fmt: skip
    return float(done.stdout)


def test_what_is_free_goes_back() -> None:
    assert grown_mb("kept = holes(60_000)") > 40
    assert grown_mb("kept = holes(60_000); give_back()") < 10


def test_large_blocks_go_back_by_themselves() -> None:
    learns = "big = bytearray(30_000_000); del big; "
    assert grown_mb(learns + "kept = holes(2_000_000)") > 40
    assert grown_mb("give_back_large_blocks(); " + learns + "kept = holes(2_000_000)") < 10
