"""The token bucket."""

from serve.rates import Rates


def test_a_burst_then_the_rate_and_each_owner_for_itself() -> None:
    now = [0.0]
    rates = Rates(60, 3, clock=lambda: now[0])
    assert [rates.wait_s("a") for _ in range(3)] == [0.0] * 3
    assert rates.wait_s("a") == 1.0
    assert rates.wait_s("b") == 0.0
    now[0] = 0.5
    assert rates.wait_s("a") == 0.5
    now[0] = 1.0
    assert rates.wait_s("a") == 0.0
    assert rates.wait_s("a") == 1.0


def test_over_an_hour_no_more_than_the_rate() -> None:
    now = [0.0]
    rates = Rates(30, 5, clock=lambda: now[0])
    allowed = 0
    for _ in range(36_000):
        now[0] += 0.1
        allowed += rates.wait_s("a") == 0.0
    assert 1800 <= allowed <= 1805


def test_a_long_rest_gives_one_burst() -> None:
    now = [0.0]
    rates = Rates(60, 3, clock=lambda: now[0])
    rates.wait_s("a")
    now[0] = 1e6
    assert [rates.wait_s("a") == 0.0 for _ in range(4)] == [True, True, True, False]
