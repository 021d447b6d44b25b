"""The order of a batch of verifications: packages are fetched ahead, and while one kernel's guest runs, the drivers of
the next are built. Each worker takes one kernel from its headers to its verdicts, so that as many jobs run as there are
workers, from the first minute to the last, and no more kernels are unpacked than are worked on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from kdriver.core.errors import KdriverError

logger = logging.getLogger(__name__)

_FETCHERS = 3
Item = TypeVar("Item")
Result = TypeVar("Result")


def run_pipeline(
    items: Sequence[Item],
    work: Callable[[Item], Result],
    *,
    fetch: Callable[[Item], None],
    jobs: int,
    ahead: int,
    stop: Callable[[], None],
) -> tuple[Result, ...]:
    """Work on the items in their order, `jobs` at a time; the results are in that order, too.

    work: must not raise for what can go wrong with one item. fetch: brings what an item needs from the network; called
    for up to `ahead` items before their turn, and what it raises is left to `work`, which wants the same. stop: ends
    what runs, when this is interrupted; no item is begun after that.
    """
    fetchers = ThreadPoolExecutor(max_workers=_FETCHERS, thread_name_prefix="fetch")
    workers = ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="verify")
    fetching: dict[int, Future[None]] = {}
    lock = threading.Lock()

    def one(place: int) -> Result:
        with lock:
            for later in range(place, min(place + ahead + 1, len(items))):
                if later not in fetching:
                    fetching[later] = fetchers.submit(_quietly, fetch, items[later])
        fetching[place].result()
        return work(items[place])

    submitted = [workers.submit(one, place) for place in range(len(items))]
    try:
        return tuple(future.result() for future in submitted)
    except BaseException:
        stop()
        raise
    finally:
        fetchers.shutdown(wait=False, cancel_futures=True)
        workers.shutdown(wait=True, cancel_futures=True)


def _quietly(fetch: Callable[[Item], None], item: Item) -> None:
    try:
        fetch(item)
    except (KdriverError, OSError) as error:
        logger.info("fetched ahead: %s", error)
