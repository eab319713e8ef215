"""One function on many things: in this process, in several, or over a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import TypeVar

from hierarchy_nodes.errors import ConfigError

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, ray_address: str = ""
) -> Iterator[Result]:
    """Results as they finish, in any order; an interruption drops what has not begun.

    Args:
        function: A module's own, or a `partial` of one: it is sent to the other processes.
        items: One call each.
        workers: Processes; with one, or one item, all is done in this one.
        ray_address: Of a Ray cluster that does it instead.

    Raises:
        ConfigError: Ray is asked for and not installed.
    """
    if ray_address:
        yield from _spread_on_ray(function, items, ray_address)
    elif workers <= 1 or len(items) <= 1:
        yield from map(function, items)
    else:
        # One thread each: the processes already fill the cores.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        # A forked OpenGL context is broken.
        context = get_context("spawn")
        with ProcessPoolExecutor(min(workers, len(items)), mp_context=context) as pool:
            try:
                futures = [pool.submit(function, item) for item in items]
                for future in as_completed(futures):
                    yield future.result()
            finally:
                # An interruption must not wait for what has not begun.
                pool.shutdown(wait=False, cancel_futures=True)


def _spread_on_ray(
    function: Callable[[Item], Result], items: Sequence[Item], address: str
) -> Iterator[Result]:
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            "--ray needs Ray, which is not installed: pip install 'ray[default]'."
        ) from error
    ray.init(address=address)
    remote = ray.remote(num_cpus=1)(function)
    waiting = [remote.remote(item) for item in items]
    while waiting:
        done, waiting = ray.wait(waiting)
        yield ray.get(done[0])
