"""One slow piece of work at a time, beside the loop, so that the loop keeps watching.

Rule: an act is called again and again and answers at once. What takes seconds (starting, smoking,
stopping) runs here; asking again with the same key finds the running work instead of starting it twice.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Working(Generic[T]):
    """Marks work that is not finished."""


WORKING: Working[Any] = Working()


class Background:
    """A single worker thread, by key."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="act")
        self._key: str | None = None
        self._future: Future[Any] | None = None

    def run(self, key: str, work: Callable[[], T]) -> T | Working[T]:
        """Start `work` under `key`, or look at it. Its result (or exception) is handed out once.

        Work under another key is waited for first: it is bounded, and two acts never overlap.
        """
        if self._future is not None and self._key != key:
            if not self._future.done():
                return WORKING
            self._future = None
        if self._future is None:
            self._key, self._future = key, self._pool.submit(work)
        if not self._future.done():
            return WORKING
        future, self._future, self._key = self._future, None, None
        return future.result()  # type: ignore[no-any-return]

    def close(self) -> None:
        """Start nothing more; what runs is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
