from pipelines.ledger import Ledger, Snapshot, remaining_s


class AllAlive(Ledger):
    def _is_alive(self, node_id: str) -> bool:
        return node_id != "lost"


def taken(ledger: Ledger, stage: str, row_id: str, node_id: str) -> int:
    deaths = ledger.deaths(stage, row_id, node_id)
    ledger.begin(stage, row_id, node_id)
    return deaths


def test_a_row_that_was_begun_and_comes_again_has_killed() -> None:
    ledger = AllAlive()
    assert taken(ledger, "listen", "a", "n1") == 0
    assert taken(ledger, "listen", "a", "n1") == 1
    assert taken(ledger, "listen", "a", "n2") == 2
    assert taken(ledger, "listen", "b", "n1") == 0
    assert taken(ledger, "look", "a", "n1") == 0


def test_a_row_that_only_waited_is_not_blamed() -> None:
    ledger = AllAlive()
    assert ledger.deaths("write", "a", "n1") == 0
    assert ledger.deaths("write", "a", "n1") == 0


def test_an_end_clears_the_row() -> None:
    ledger = AllAlive()
    ledger.begin("listen", "a", "n1")
    ledger.end("listen", "a", 1.0, 60.0, None)
    assert ledger.deaths("listen", "a", "n1") == 0


def test_a_lost_node_is_not_the_rows_fault() -> None:
    ledger = AllAlive()
    ledger.begin("listen", "a", "lost")
    assert ledger.deaths("listen", "a", "n1") == 0


def test_counts() -> None:
    ledger = AllAlive()
    ledger.begin("screen", "a", "n")
    ledger.begin("screen", "b", "n")
    ledger.end("screen", "a", 2.0, 60.0, "rejected")
    ledger.end("screen", "a", 2.0, 60.0, "rejected")
    shown = ledger.snapshot()
    assert shown.done == {"rejected": 1}
    assert shown.stages == {"screen": (1, 2, 4.0)}
    assert (shown.known, shown.known_video_s, shown.done_video_s) == (1, 60.0, 60.0)


def snapshot(done: int, done_s: float, known_s: float, known: int) -> Snapshot:
    return Snapshot(done={"ok": done} if done else {}, done_video_s=done_s, known_video_s=known_s, known=known, stages={})


def test_time_left_counts_hours_and_not_videos() -> None:
    assert remaining_s(snapshot(1, 100.0, 400.0, 2), 2, 50.0) == 150.0
    assert remaining_s(snapshot(1, 100.0, 400.0, 2), 4, 50.0) == 350.0
    assert remaining_s(snapshot(0, 0.0, 400.0, 2), 4, 50.0) is None
