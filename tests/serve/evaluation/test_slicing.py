import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.errors import UsageError
from serve.evaluation import cutter, slicing
from serve.evaluation.cutter import Cut, duration_s
from serve.evaluation.slicing import SliceReason, clips, slice_all
from tests.conftest import ROOT
from tests.media import write_video

HOW = Cut(quality=30)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    write_video(folder / "one.mp4", seconds=12.0, key_frame_every_s=6.0)
    (folder / "deep").mkdir()
    write_video(folder / "deep" / "two.mkv", seconds=6.0, audio=False)
    (folder / "broken.mp4").write_bytes(b"no film")
    write_video(folder / "twice.mp4", seconds=2.0)
    write_video(folder / "twice.mkv", seconds=2.0)
    return folder


def rows(*asked) -> list[dict]:
    return [{"id": str(i), "video_id": v, "video": f"{v}_{a:g}_{b:g}.mp4", "timestamp": [a, b]}
            for i, (v, a, b) in enumerate(asked)]  # fmt: skip


def write(path: Path, asked: list[dict]) -> Path:
    path.write_text("\n".join(json.dumps(r) for r in asked))
    return path


def first_and_last(path: Path) -> tuple[int, int]:
    """The seconds that the first and the last frame show."""
    import av

    with av.open(str(path)) as container:
        levels = [f.to_ndarray(format="rgb24")[:, : f.width // 2].mean() / 10 for f in container.decode(video=0)]
    return round(levels[0]), round(levels[-1])


def cut(data, videos, out, how=HOW, workers=2):
    return slice_all(data, videos, out, how, workers=workers)


def test_one_job_per_clip_frame_exact_and_muted(videos, tmp_path, monkeypatch):
    import av

    data = write(tmp_path / "q.jsonl", rows(("one", 3, 5), ("one", 3, 5), ("one", 7, 12), ("two", 1, 4), ("one", 3, 5)))
    done, real = [], slicing.cut
    monkeypatch.setattr(slicing, "cut", lambda *a: (done.append(a[3].name), real(*a)))
    got = cut(data, videos, tmp_path / "clips")
    assert sorted(done) == ["one_3_5.mp4", "one_7_12.mp4", "two_1_4.mp4"]
    assert [(r.name, r.rows, r.status, r.is_new) for r in got] == [
        ("one_3_5.mp4", 3, "ok", True), ("one_7_12.mp4", 1, "ok", True), ("two_1_4.mp4", 1, "ok", True),
    ]  # fmt: skip
    assert first_and_last(tmp_path / "clips" / "one_3_5.mp4") == (3, 4)  # its key frames lie at 0 and 6
    assert first_and_last(tmp_path / "clips" / "one_7_12.mp4") == (7, 11)
    assert [r.duration_s for r in got] == [pytest.approx(s, abs=0.2) for s in (2, 5, 3)]
    with av.open(str(tmp_path / "clips" / "two_1_4.mp4")) as container:
        assert (len(container.streams.audio), container.streams.video[0].width) == (0, 160)
    with av.open(str(tmp_path / "clips" / "one_3_5.mp4")) as container:
        assert not container.streams.audio
    stored = pq.read_table(tmp_path / "clips" / "slices.parquet").to_pylist()
    assert [r["name"] for r in stored] == [r.name for r in got]
    assert sorted(p.name for p in (tmp_path / "clips").iterdir()) == [
        ".lock", "cut.json", "one_3_5.mp4", "one_7_12.mp4", "slices.parquet", "two_1_4.mp4",
    ]  # fmt: skip


def test_what_cannot_be_cut_is_a_row_with_its_reason_and_leaves_no_file(videos, tmp_path):
    asked = rows(("gone", 0, 2), ("broken", 0, 1), ("one", 8, 60), ("one", 20, 30), ("twice", 0, 1), ("one", 0, 2))
    got = cut(write(tmp_path / "q.jsonl", asked), videos, tmp_path / "clips")
    assert [(r.status, r.reason) for r in got] == [
        ("failed", SliceReason.SOURCE_MISSING), ("failed", SliceReason.UNREADABLE), ("failed", SliceReason.PAST_THE_END),
        ("failed", SliceReason.PAST_THE_END), ("failed", SliceReason.SOURCE_AMBIGUOUS), ("ok", None),
    ]  # fmt: skip
    assert all(r.detail for r in got[:5])
    assert [p.name for p in (tmp_path / "clips").glob("*.mp4")] == ["one_0_2.mp4"]


def test_what_is_there_stays_and_what_is_broken_is_cut_again(videos, tmp_path):
    data = write(tmp_path / "q.jsonl", rows(("one", 0, 2), ("one", 2, 4)))
    cut(data, videos, tmp_path / "clips")
    first, second = (tmp_path / "clips" / f"one_{n}.mp4" for n in ("0_2", "2_4"))
    second.write_bytes(second.read_bytes()[:500])
    before = first.stat().st_mtime_ns
    got = cut(data, videos, tmp_path / "clips")
    assert [r.is_new for r in got] == [False, True]
    assert first.stat().st_mtime_ns == before
    assert duration_s(second) == pytest.approx(2, abs=0.2)


def test_a_corrected_interval_under_the_same_name_is_cut_again(videos, tmp_path):
    out, row = tmp_path / "clips", {"id": "0", "video_id": "one", "video": "clip.mp4"}
    asked = lambda **more: write(tmp_path / "q.jsonl", [row | more])  # noqa: E731
    cut(asked(timestamp=[0, 3]), videos, out)
    for start_s, end_s in ((6, 9), (6, 8)):  # as long, then shorter
        (got,) = cut(asked(timestamp=[start_s, end_s]), videos, out)
        assert (got.status, got.is_new) == ("ok", True)
        assert first_and_last(out / "clip.mp4") == (start_s, end_s - 1)
    assert not cut(asked(timestamp=[6, 8]), videos, out)[0].is_new
    (got,) = cut(asked(timestamp=[1, 3], video_id="two"), videos, out)
    assert (got.is_new, first_and_last(out / "clip.mp4")) == (True, (1, 2))
    (got,) = cut(asked(timestamp=[1, 3], video_id="gone"), videos, out)
    assert got.reason == SliceReason.SOURCE_MISSING
    assert not (out / "clip.mp4").exists()  # it would be asked about


def test_a_clip_that_does_not_say_where_it_is_from_stays_if_it_is_as_long(videos, tmp_path):
    import av

    data, out = write(tmp_path / "q.jsonl", rows(("one", 0, 3), ("one", 3, 6))), tmp_path / "clips"
    out.mkdir()
    plain = write_video(tmp_path / "plain.mp4", seconds=2.5, audio=False)
    write_video(out / "one_3_6.mp4", seconds=6.0, audio=False)
    with av.open(str(plain)) as source, av.open(str(out / "one_0_3.mp4"), "w") as target:
        target.metadata["comment"] = "somebody's own words"
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert [r.is_new for r in cut(data, videos, out)] == [False, True]


def test_another_way_of_cutting_wants_another_folder(videos, tmp_path):
    import av

    data = write(tmp_path / "q.jsonl", rows(("one", 0, 2)))
    cut(data, videos, tmp_path / "clips")
    with pytest.raises(UsageError, match="were cut otherwise"):
        cut(data, videos, tmp_path / "clips", Cut(frame_rate=1.0))
    (got,) = cut(data, videos, tmp_path / "slow", Cut(frame_rate=1.0, max_edge_px=75))
    assert got.status == "ok"
    with av.open(str(tmp_path / "slow" / "one_0_2.mp4")) as container:
        assert (container.streams.video[0].width, container.streams.video[0].frames) == (74, 2)  # even sides
    assert first_and_last(tmp_path / "slow" / "one_0_2.mp4") == (0, 1)


def test_a_clip_that_takes_too_long_is_a_row(videos, tmp_path, monkeypatch):
    def slow(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(cutter.subprocess, "run", slow)
    (got,) = cut(write(tmp_path / "q.jsonl", rows(("one", 0, 2))), videos, tmp_path / "clips")
    assert (got.status, got.reason) == ("failed", SliceReason.DEADLINE)


def test_killed_and_run_again(videos, tmp_path):
    """Nothing half: a clip is there whole or not at all, and the next run finishes."""
    data = write(tmp_path / "q.jsonl", rows(*(("one", i, i + 4) for i in range(8))))
    out = tmp_path / "clips"
    command = [sys.executable, "-m", "cluster.cli", "slice", str(data), "--videos", str(videos), "--out", str(out),
               "--workers", "1", "--quality", "30"]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    while len(list(out.glob("one_*.mp4"))) < 2:
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = {p: p.stat().st_mtime_ns for p in out.glob("one_*.mp4")}
    assert all(duration_s(p) == pytest.approx(4, abs=0.2) for p in there)
    assert not (out / "slices.parquet").exists()
    got = cut(data, videos, out)
    assert all(r.status == "ok" for r in got)
    assert sum(not r.is_new for r in got) == len(there)
    assert {p: p.stat().st_mtime_ns for p in there} == there


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"timestamp": [5, 3]}, "no interval"),
        ({"timestamp": [-1, 3]}, "no interval"),
        ({"timestamp": [0, float("nan")]}, "no interval"),
        ({"timestamp": [1]}, "neither 'timestamp'"),
        ({"timestamp": "soon"}, "neither 'timestamp'"),
        ({"timestamp": None}, "neither 'timestamp'"),
        ({"video": "../../etc/cron.mp4"}, "no plain file name"),
        ({"video_id": ".."}, "no plain file name"),
        ({"video_id": ""}, "has no 'video_id'"),
        ({"video": "a_0_2.mp4", "timestamp": [0, 3]}, "another interval"),
    ],
)
def test_rows_that_are_no_intervals_stop_it_before_it_begins(tmp_path, change, sentence):
    row = {"video_id": "a", "video": "a_0_2.mp4", "timestamp": [0, 2]}
    with pytest.raises(UsageError, match=sentence):
        clips(write(tmp_path / "q.jsonl", [row, row | change]))


def test_intervals_inside_one_second_do_not_collide(tmp_path):
    rows = [{"video_id": "a", "start_s": s, "end_s": s + 0.3} for s in (1.1, 1.2)]
    assert [c.name for c in clips(write(tmp_path / "q.jsonl", rows))] == [
        "a_000001100-000001400.mp4", "a_000001200-000001500.mp4",
    ]  # fmt: skip
    (tmp_path / "q.csv").write_text('video_id,timestamp\na,"[1.0, 2.5]"\n')
    assert clips(tmp_path / "q.csv")[0].end_s == 2.5


def test_a_playlist_named_mp4_opens_no_other_file(tmp_path, monkeypatch):
    raw = tmp_path / "raw"
    raw.mkdir()
    write_video(raw / "secret.mp4", seconds=3.0)
    (raw / "a.mp4").write_text("ffconcat version 1.0\nfile secret.mp4\n")
    (got,) = cut(write(tmp_path / "q.jsonl", rows(("a", 0, 1))), raw, tmp_path / "clips")
    assert (got.status, got.reason) == ("failed", SliceReason.UNREADABLE)
    part = tmp_path / "x.mp4"
    monkeypatch.setattr(cutter, "duration_s", lambda path: 3.0)  # ffmpeg is not asked after a look that fails
    with pytest.raises(cutter.CutFault) as refused:
        cutter.cut(raw / "a.mp4", 0, 1, part, HOW)
    assert refused.value.reason == "unreadable"
    assert not part.exists()
    cutter.cut(raw / "secret.mp4", 0, 1, part, HOW)
    assert part.exists()
