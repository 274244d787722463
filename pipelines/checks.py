"""What a setting may be: a wrong one stops before any work, with its name."""

import math

from pipelines.errors import UsageError


def share(name: str, value: float) -> None:
    """A number from 0 to 1.

    Raises:
        UsageError: it is not.
    """
    if not 0.0 <= value <= 1.0:
        raise UsageError(f"{name} must lie between 0 and 1, not {value}.")


def positive(name: str, value: float) -> None:
    """A finite number above 0.

    Raises:
        UsageError: it is not.
    """
    if not 0 < value < math.inf:
        raise UsageError(f"{name} must be a number greater than 0, not {value}.")


def at_least(name: str, value: float, least: float) -> None:
    """A finite number of `least` or more.

    Raises:
        UsageError: it is not.
    """
    if not least <= value < math.inf:
        raise UsageError(f"{name} must be a number of at least {least:g}, not {value}.")


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """One of a closed set.

    Raises:
        UsageError: it is not.
    """
    if value not in allowed:
        raise UsageError(f"{name} must be {', '.join(allowed[:-1])} or {allowed[-1]}, not '{value}'.")
