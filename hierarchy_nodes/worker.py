"""One thread per model, fed with the newest item only."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestWorker(Generic[T]):
    """Runs ``work(item)`` in its own thread, on the newest submitted item.

    The slot has size one: an item that has not been begun is replaced by a newer one, so that
    nothing queues up behind a slow model. Exceptions go to `failed`, and the thread lives on.
    """

    def __init__(
        self, work: Callable[[T], None], failed: Callable[[Exception], None], name: str = "worker"
    ) -> None:
        self._work, self._failed = work, failed
        self._wake = threading.Condition()
        self._item: T | None = None
        self._open = True
        self.replaced = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: T) -> None:
        with self._wake:
            self.replaced += self._item is not None
            self._item = item
            self._wake.notify()

    def close(self, timeout: float = 2.0) -> None:
        """Let the item under work end, drop the waiting one, and join the thread."""
        with self._wake:
            self._open = False
            self._item = None
            self._wake.notify()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._wake:
                while self._open and self._item is None:
                    self._wake.wait()
                if not self._open:
                    return
                item, self._item = self._item, None
            try:
                self._work(item)  # type: ignore[arg-type]
            except Exception as error:  # noqa: BLE001 - handed on, never lost
                self._failed(error)
