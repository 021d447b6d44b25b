"""The order of a batch of verifications: packages are fetched ahead, and while one kernel's guest runs, the drivers of
the next are built. Each worker takes one kernel from its headers to its verdicts, so that as many jobs run as there are
workers, from the first minute to the last, and no more kernels are unpacked than are worked on."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from kdriver.executors.task import StoppedError

logger = logging.getLogger(__name__)

_FETCHERS = 3
_LOOK_S = 0.2
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
    what runs, when this is interrupted; no item is begun after that, and no download is waited for.
    """
    fetching = _Fetching(items, fetch)
    workers = ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="verify")

    def one(place: int) -> Result:
        fetching.begin(range(place, min(place + ahead + 1, len(items))))
        fetching.wait(place)
        return work(items[place])

    submitted = [workers.submit(one, place) for place in range(len(items))]
    try:
        return tuple(future.result() for future in submitted)
    except BaseException:
        stop()
        raise
    finally:
        fetching.end()
        workers.shutdown(wait=True, cancel_futures=True)


class _Fetching(Generic[Item]):
    """Fetches in threads that a process does not wait for at its end: what they leave is a part file, which the next
    run goes on with."""

    def __init__(self, items: Sequence[Item], fetch: Callable[[Item], None]) -> None:
        self._items = items
        self._fetch = fetch
        self._queue: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._done = [threading.Event() for _ in items]
        self._begun: set[int] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        for number in range(_FETCHERS):
            threading.Thread(target=self._run, name=f"fetch-{number}", daemon=True).start()

    def begin(self, places: Sequence[int]) -> None:
        """Fetch these in their order, those that were not begun before."""
        with self._lock:
            for place in places:
                if place not in self._begun:
                    self._begun.add(place)
                    self._queue.put(place)

    def wait(self, place: int) -> None:
        """Until an item's packages are here, or could not be had. Raises StoppedError after `end`."""
        while not self._done[place].wait(_LOOK_S):
            if self._ended.is_set():
                raise StoppedError("stopped")

    def end(self) -> None:
        """Begin nothing more."""
        self._ended.set()
        for _ in range(_FETCHERS):
            self._queue.put(None)

    def _run(self) -> None:
        while (place := self._queue.get()) is not None and not self._ended.is_set():
            try:
                self._fetch(self._items[place])
            except Exception as error:  # the work wants the same, and tells what is wrong with it
                logger.info("fetched ahead: %s", error, exc_info=logger.isEnabledFor(logging.DEBUG))
            finally:
                self._done[place].set()
