"""What glibc does with freed memory: by itself it keeps most of it, in holes, and a process grows with its video.

Other C libraries have neither call; there nothing is done.
"""

import ctypes
from typing import Any

_M_MMAP_THRESHOLD, _LARGE_BYTES = -3, 1 << 20


def give_back_large_blocks() -> None:
    """From now on a freed block of a megabyte or more goes back to the system. glibc's own threshold rises with use, so that
    arrays which differ from one piece of work to the next tear holes: 15 windows of Whisper took 495 MiB, now 363."""
    _call("mallopt", _M_MMAP_THRESHOLD, _LARGE_BYTES)


def give_back() -> None:
    """What is free now goes back to the system, however small: some milliseconds."""
    _call("malloc_trim", 0)


def _call(name: str, *arguments: int) -> None:
    function: Any = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*arguments)
