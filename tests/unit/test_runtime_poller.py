"""The poller inside supervisord waits for what is wanted now, and for nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from crossfade.runtime.poller import RoundPoller


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            pass


def test_what_can_be_read_or_written_is_told(pipe: tuple[int, int]) -> None:
    read, write = pipe
    poller = RoundPoller()
    poller.register_readable(read)
    poller.register_writable(write)
    assert poller.poll(0) == ([], [write])
    os.write(write, b"x")
    poller.register_readable(read)
    assert poller.poll(0) == ([read], [])


def test_a_number_that_was_given_again_to_a_pipe_nobody_reads_is_not_told(pipe: tuple[int, int]) -> None:
    read, write = pipe
    poller = RoundPoller()
    connection = os.dup(read)
    poller.register_readable(connection)
    assert poller.poll(0) == ([], [])
    os.dup2(write, connection)  # closed, and given again to a process's stdin ...
    os.close(read)  # ... which that process has closed
    try:
        assert poller.poll(0) == ([], []), "supervisord would never rest"
        poller.register_readable(connection)
        assert poller.poll(0) == ([connection], []), "who wants it finds the error by reading"
    finally:
        os.close(connection)


def test_what_was_closed_meanwhile_is_passed_over(pipe: tuple[int, int]) -> None:
    read, _write = pipe
    poller = RoundPoller()
    poller.register_readable(read)
    os.close(read)
    assert poller.poll(0) == ([], [])
    poller.unregister_readable(read)
    poller.unregister_writable(read)
