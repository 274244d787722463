"""Ray Train's place in the loop, without Ray."""

import contextlib
import shutil

import torch


class Alone:
    """A worker by itself, whose checkpoints are kept in a folder, and who may be told to go, or that its machine may."""

    rank, workers, workers_here = 0, 1, 1

    def __init__(self, kept, leave_at=None, die_at=None, save_at=None):
        self._kept, self._leave_at, self._die_at, self._save_at, self._asked = kept, leave_at, die_at, save_at, 0
        self.lines, self.kept_at = [], []

    def device(self):
        return torch.device("cpu")

    @contextlib.contextmanager
    def checkpoint(self):
        yield self._kept if self._kept.exists() else None

    def report(self, state, folder):
        shutil.rmtree(self._kept, ignore_errors=True)
        shutil.copytree(folder, self._kept)
        self.kept_at.append(state.step)

    def say(self, line):
        self.lines.append(line)

    def notice(self):
        self._asked += 1
        if self._asked == self._die_at:
            raise KeyboardInterrupt
        if self._asked == self._leave_at:
            return "leave"
        going = self._save_at is not None and self._asked >= self._save_at  # Ray tells of it until the machine is gone
        return "save" if going else None
