"""The films that are measured: one rendered lecture, its packets repeated."""

import json
import subprocess
from pathlib import Path
from typing import Any

from imageio_ffmpeg import get_ffmpeg_exe

from tests.lectures import render
from tests.lectures.script import MRI


def film(path: Path, minutes: float, *, silent_turns: int = 0, **settings: Any) -> Path:
    """The MRI lecture, rendered once and its packets repeated to `minutes`; what is there is kept.

    With `silent_turns`, the speaker is silent for so many turns after each that is spoken.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        once, part = path.with_suffix(".once.mp4"), path.with_suffix(".part.mp4")
        render.render(MRI, once, **settings)
        if silent_turns:
            spoken, once = once, path.with_suffix(".turns.mp4")
            hush = f"volume=0:enable='gt(t,{json.loads(spoken.with_suffix('.truth.json').read_text())['duration_s']})'"
            ffmpeg("-stream_loop", str(silent_turns), "-i", str(spoken), "-c:v", "copy", "-af", hush, str(once))
        ffmpeg("-stream_loop", "-1", "-i", str(once), "-c", "copy", "-t", str(60 * minutes), str(part))
        part.replace(path)
    return path


def ffmpeg(*arguments: str) -> None:
    """Run it; it speaks only of errors."""
    subprocess.run([get_ffmpeg_exe(), "-loglevel", "error", "-y", *arguments], check=True)
