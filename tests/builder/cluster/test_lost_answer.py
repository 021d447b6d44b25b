"""An answer that is lost with the worker that held it is asked for again."""

from __future__ import annotations

from typing import Any, cast

import pytest

from builder.cluster.client import Cluster
from kdriver.executors.task import StoppedError


class LosingFuture:
    """Behaves as a future of distributed whose first wait is cancelled within."""

    def __init__(self, *, cancelled: bool) -> None:
        self.asked = 0
        self._cancelled = cancelled

    def result(self, timeout: float) -> dict[str, Any]:
        self.asked += 1
        if self.asked == 1:
            raise UnboundLocalError("cannot access local variable 'result'")
        return {"content_key": "abc"}

    def cancelled(self) -> bool:
        return self._cancelled


def waiting_cluster() -> Cluster:
    """A cluster without a connection: waiting needs none as long as no wait runs out."""
    cluster = object.__new__(Cluster)
    cluster._stopped = False
    return cluster


def test_the_question_is_put_again() -> None:
    future = LosingFuture(cancelled=False)
    assert waiting_cluster()._wait(cast(Any, future), {}) == {"content_key": "abc"}
    assert future.asked == 2


def test_a_build_that_was_cancelled_is_not_asked_for_again() -> None:
    future = LosingFuture(cancelled=True)
    with pytest.raises(StoppedError):
        waiting_cluster()._wait(cast(Any, future), {})
    assert future.asked == 1
