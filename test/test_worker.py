"""The worker thread: newest item only, errors handed on, ends when told."""

import threading

from hierarchy_nodes.worker import LatestWorker

WAIT = 10.0


def test_works_on_the_newest_item_and_counts_the_replaced():
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()
    seen = []

    def work(item):
        seen.append(item)
        begun.set()
        go_on.wait(WAIT)
        if item == 4:
            done.set()

    worker = LatestWorker(work, lambda error: None)
    worker.submit(1)
    assert begun.wait(WAIT)
    for item in (2, 3, 4):
        worker.submit(item)
    go_on.set()
    assert done.wait(WAIT)
    worker.close()
    assert seen == [1, 4]
    assert worker.replaced == 2


def test_an_error_is_handed_on_and_the_thread_lives():
    errors, done = [], threading.Event()

    def work(item):
        if item == "bad":
            raise ValueError("bad item")
        done.set()

    failed = threading.Event()
    worker = LatestWorker(work, lambda error: (errors.append(error), failed.set()))
    worker.submit("bad")
    assert failed.wait(WAIT)
    worker.submit("good")
    assert done.wait(WAIT)
    worker.close()
    assert str(errors[0]) == "bad item"


def test_close_drops_the_waiting_item_and_ends_the_thread():
    begun, go_on = threading.Event(), threading.Event()
    seen = []

    def work(item):
        seen.append(item)
        begun.set()
        go_on.wait(WAIT)

    worker = LatestWorker(work, lambda error: None, name="closing")
    worker.submit(1)
    assert begun.wait(WAIT)
    worker.submit(2)
    closer = threading.Thread(target=worker.close)
    closer.start()
    go_on.set()
    closer.join(WAIT)
    assert not closer.is_alive()
    assert seen == [1]
    assert not any(thread.name == "closing" for thread in threading.enumerate())
