from hypothesis import given
from hypothesis import strategies as st

from pipelines.split import is_held_out


def test_the_share_of_many_videos():
    for share in (0.1, 0.2, 0.5):
        held = sum(is_held_out(f"video-{i}", share) for i in range(4000))
        assert abs(held / 4000 - share) < 0.03


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_contains_the_smaller(video_id, one, two):
    assert is_held_out(video_id, min(one, two)) <= is_held_out(video_id, max(one, two))
    assert is_held_out(video_id, 1.0)
    assert not is_held_out(video_id, 0.0)
