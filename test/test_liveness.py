"""Processes are followed by the kernel's word."""

import os
import subprocess
import sys

import pytest

from hierarchy_nodes.liveness import ProcessWatch, host


@pytest.fixture
def process():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child
        child.kill()


@pytest.fixture
def watch():
    made = ProcessWatch()
    yield made
    made.close()


def end(process):
    process.kill()
    process.wait()


def test_a_process_that_ends_is_named_until_followed_again(watch, process):
    watch.follow("arm", host(), process.pid)
    watch.follow("arm", host(), process.pid)
    assert watch.ended() == set()
    end(process)
    assert watch.ended() == {"arm"}
    assert watch.ended() == {"arm"}
    watch.follow("arm", host(), os.getpid())
    assert watch.ended() == set()


def test_one_that_had_ended_before(watch, process):
    end(process)
    watch.follow("arm", host(), process.pid)
    assert watch.ended() == {"arm"}
    watch.forget("arm")
    assert watch.ended() == set()


@pytest.mark.parametrize("where", ["", "another"])
def test_processes_of_other_machines_are_left_to_their_heartbeats(watch, process, where):
    watch.follow("arm", where, process.pid)
    end(process)
    assert watch.ended() == set()


def test_no_descriptor_is_left_open(process):
    before = len(os.listdir("/proc/self/fd"))
    watch = ProcessWatch()
    watch.follow("arm", host(), process.pid)
    watch.follow("camera", host(), os.getpid())
    watch.forget("camera")
    watch.close()
    assert len(os.listdir("/proc/self/fd")) == before
