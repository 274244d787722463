"""Small real files for tests: H.264 or anything else PyAV encodes, with a tone, at any size, rate and length."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_video(
    path: Path,
    *,
    seconds: float = 12.0,
    size: tuple[int, int] = (160, 120),
    fps: int = 10,
    key_frame_every_s: float = 2.0,
    times_s: list[float] | None = None,
    audio: bool = True,
    audio_start_s: float = 0.0,
    video: bool = True,
    options: dict[str, str] | None = None,
) -> Path:
    """A grey picture whose level is its second times ten, left half; `times_s` gives each frame's own time (VFR)."""
    with av.open(str(path), "w", options=options or {}) as container:
        picture = sound = None
        if video:
            picture = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "sc_threshold": "0"})
            picture.width, picture.height, picture.pix_fmt = *size, "yuv420p"
            picture.codec_context.gop_size = max(1, round(key_frame_every_s * fps))
            picture.codec_context.time_base = Fraction(1, 1000)
        if audio:
            sound = container.add_stream("aac", rate=16000, layout="mono")
        for time_s in times_s or [i / fps for i in range(round(seconds * fps))] if picture else []:
            level = np.zeros((size[1], size[0], 3), np.uint8)
            level[:, : size[0] // 2] = min(250, int(time_s) * 10)
            frame = av.VideoFrame.from_ndarray(level, format="rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            container.mux(picture.encode(frame))
        if sound is not None:
            tone = (np.sin(np.arange(round(seconds * 16000)) * 0.1) * 8000).astype(np.int16)
            for start in range(0, len(tone), 1600):
                piece = av.AudioFrame.from_ndarray(tone[None, start : start + 1600], format="s16", layout="mono")
                piece.sample_rate, piece.pts = 16000, start + round(audio_start_s * 16000)
                piece.time_base = Fraction(1, 16000)
                container.mux(sound.encode(piece))
            container.mux(sound.encode(None))
        if picture is not None:
            container.mux(picture.encode(None))
    return path
