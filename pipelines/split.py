"""Which source videos are held out of training, so that questions about them test what was learnt.

One rule for training and evaluation: the decision hangs on the video's id alone, so it is the same on every machine and
stays the same when videos are added.
"""

import hashlib

HELD_OUT_SHARE = 0.2
"""Of all videos, unless a setting says otherwise: training leaves out what evaluation asks about."""


def place_of(video_id: str) -> float:
    """The video's place between 0 and 1, spread evenly over all ids: those below the share are held out."""
    return int.from_bytes(hashlib.sha256(f"held-out:{video_id}".encode()).digest()[:8]) / 2**64


def is_held_out(video_id: str, share: float) -> bool:
    """Whether the video belongs to the held-out `share` (0 to 1) of all videos; a larger share contains the smaller."""
    return place_of(video_id) < share
