import io

import pytest
from rich.console import Console

from pipelines.ledger import Snapshot
from pipelines.progress import headline, span, stage_line, table

HALF_WAY = Snapshot(
    done={"ok": 1, "rejected": 2},
    done_video_s=1800.0,
    known_video_s=7200.0,
    known=6,
    stages={"screen": (1, 5, 10.0), "look": (1, 0, 0.0)},
)
STARTING = Snapshot(done={}, done_video_s=0.0, known_video_s=0.0, known=0, stages={})


def test_the_headline_counts_videos_hours_and_time_left() -> None:
    said = headline(HALF_WAY, 6, 600.0)
    assert said == "[10.0 min] 3 of 6 videos (0.50 of 2.00 h), 1 ok, 2 rejected, 3.0x real time, 30.0 min left"


def test_nothing_is_promised_before_anything_is_known() -> None:
    assert headline(STARTING, 6, 7.0) == "[7.0 s] 0 of 6 videos (0.00 of 0.00 h), starting"


def test_stages_in_one_line_and_in_a_table() -> None:
    assert stage_line(HALF_WAY) == "screen 5 done 1 in work, look 0 done 1 in work"
    page = Console(file=io.StringIO(), width=120, record=True)
    page.print(table(HALF_WAY, 6, 600.0))
    assert ["screen", "1", "5", "2.0"] in [line.split() for line in page.export_text().splitlines()]


@pytest.mark.parametrize(("seconds", "said"), [(4.21, "4.2 s"), (420, "7.0 min"), (12600, "3.5 h")])
def test_span(seconds: float, said: str) -> None:
    assert span(seconds) == said
