"""What can go wrong, by what must happen next: a row's own fault, a wrong request, or a broken environment."""

from pipelines.schema import Reason, Video


class RowError(Exception):
    """This input cannot be curated; its row says why, and every other row goes on.

    `reason` decides between rejected (a decision) and failed (a fault), see `Reason.status`. `known` is the row with what
    the stage had learnt before it gave up, if it learnt anything.
    """

    known: Video | None = None

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail


class UsageError(Exception):
    """The request is wrong: said in one sentence before any work, exit status 2."""


class EnvironmentFault(Exception):
    """Something every row needs is broken (an engine, a disk, an address): the run stops and can be resumed."""
