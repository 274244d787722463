"""The parent's side of a decoding child: requests with a deadline, faults as typed row errors, a new child when one dies."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import IO

import msgspec

from actors.requests import AudioWindow, Broken, Done, Failed, Looked, Message, Probed, Request, Screened, Seen
from pipelines.errors import EnvironmentFault, RowError
from pipelines.job import restored, to_bytes
from pipelines.resources import Resources
from pipelines.schema import Reason

_GIB = 1 << 30
SECRETS = frozenset({"PRECEPTOR_TEXT_API_KEY", "RAY_AUTH_TOKEN", "HF_TOKEN"})
"""Environment variables that the process which touches hostile files must not know."""
_DECODE = msgspec.msgpack.Decoder(Message, dec_hook=restored)


class Decoder:
    """Owns one persistent decoding child. Not thread-safe: one request at a time."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._child: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 lives as long as this object

    def ask(self, request: Request, duration_s: float = 0.0) -> Iterator[Probed | Screened | Looked | AudioWindow | Seen]:
        """The child's answers as they come. Leaving the iterator early replaces the child.

        The deadline counts only the child's own time, scales with `duration_s` (seconds of video, if known), and grows
        once the child has read the duration from the file.

        Raises:
            RowError: what the child reports, or `deadline`, or `decoder_crashed` with the signal that ended it.
            EnvironmentFault: the pictures cannot be written.
        """
        connection = self._ready()
        connection.send_bytes(to_bytes(request))
        finished = False
        left_s = self._allowed_s(duration_s)
        try:
            while True:
                asked = time.monotonic()
                if not connection.poll(max(0.0, left_s)):
                    raise RowError(Reason.DEADLINE, f"no answer within {self._allowed_s(duration_s):.0f} s")
                message: Message = _DECODE.decode(connection.recv_bytes())
                left_s -= time.monotonic() - asked
                if isinstance(message, Done):
                    finished = True
                    return
                if isinstance(message, Failed):
                    finished = True
                    raise RowError(message.reason, message.detail)
                if isinstance(message, Broken):
                    finished = True
                    raise EnvironmentFault(message.detail)
                if isinstance(message, Probed):
                    left_s += self._allowed_s(message.probe.duration_s) - self._allowed_s(duration_s)
                    duration_s = message.probe.duration_s
                yield message
        except (EOFError, ConnectionResetError) as error:
            raise RowError(Reason.DECODER_CRASHED, self._obituary()) from error
        finally:
            if not finished:
                self.close()

    def close(self) -> None:
        """End the child."""
        if self._connection is not None:
            self._connection.close()
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        self._child = self._connection = None

    def interrupt(self) -> None:
        """Kill the child from another thread: the request in progress fails, the next one gets a new child."""
        child = self._child
        if child is not None:
            child.kill()

    def _allowed_s(self, duration_s: float) -> float:
        return self._resources.deadline_base_s + self._resources.deadline_per_video_s * duration_s

    def _ready(self) -> Connection:
        if self._child is None or self._child.poll() is not None or self._connection is None:
            self.close()
            self._start()
        assert self._connection is not None
        return self._connection

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        memory = int(self._resources.decoder_memory_gib * _GIB)
        command = [sys.executable, "-m", "actors.decoder_child", str(theirs.fileno()), str(memory), str(os.getpid())]
        environment = {k: v for k, v in os.environ.items() if k not in SECRETS}
        environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        with theirs:
            self._child = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL, stderr=self._stderr
            )
        self._connection = Connection(ours.detach())

    def _obituary(self) -> str:
        assert self._child is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=5)
        code = self._child.returncode
        if code is not None and code < 0:
            return f"signal {-code} ({signal.Signals(-code).name})"
        return f"exit status {code}: {self._last_words()}"

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "no word"
