"""Threads: parts that cover the whole, each once; limits that belong to a thread; exceptions; BLAS held to one."""
import threading

import numpy as np
import pytest
import threadpoolctl

from nanolm import threads


def parts_of(n, least=1):
    """Return the parts that split makes, in order."""
    parts = []
    threads.split(lambda start, stop: parts.append((start, stop)), n, least)
    return sorted(parts)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 64, 1001])
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 9])
def test_parts_cover_the_whole_once(n, limit):
    with threads.limited(limit):
        parts = parts_of(n)
    assert len(parts) == max(1, min(limit, n))
    assert [i for start, stop in parts for i in range(start, stop)] == list(range(n))
    sizes = [stop - start for start, stop in parts]
    assert max(sizes) - min(sizes) <= 1


def test_small_work_is_not_cut():
    with threads.limited(4):
        assert parts_of(99, least=50) == [(0, 99)]
        assert len(parts_of(100, least=50)) == 2
        assert [stop - start for start, stop in parts_of(1000, least=300)] == [333, 333, 334]
        assert len(parts_of(10, least=0)) == 4


def test_a_limit_belongs_to_its_thread_and_ends_with_it():
    usual, seen = threads.limit(), []
    assert usual == threads.cores() >= 1
    with threads.limited(3):
        other = threading.Thread(target=lambda: seen.append(threads.limit()))
        other.start()
        other.join()
        with threads.limited(1):
            assert threads.limit() == 1 and parts_of(10) == [(0, 10)]
        assert threads.limit() == 3
    assert seen == [usual] and threads.limit() == usual
    with pytest.raises(KeyError), threads.limited(5):
        raise KeyError
    assert threads.limit() == usual


def test_a_part_does_not_cut_its_own_work_again():
    """Threads within threads would wait for each other for ever once the pool is full."""
    inner = []
    with threads.limited(4):
        threads.split(lambda start, stop: inner.append((threads.limit(), parts_of(8))), 8)
    assert inner == [(1, [(0, 8)])] * 4


def test_parts_run_on_several_threads_at_once():
    if threads.cores() == 1:
        pytest.skip("one core")
    meet = threading.Barrier(2, timeout=20)
    names = set()

    def part(start, stop):
        meet.wait()                                     # passes only if both are running
        names.add(threading.current_thread().name)
    with threads.limited(2):
        threads.split(part, 2)
    assert len(names) == 2 and threading.current_thread().name in names


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_an_exception_is_raised_when_all_parts_have_ended(bad):
    ended = []

    def part(start, stop):
        if start == bad:
            raise KeyError(f"part {bad}")
        ended.append(start)
    with threads.limited(3), pytest.raises(KeyError, match=f"part {bad}"):
        threads.split(part, 3)
    assert sorted(ended) == [i for i in range(3) if i != bad]
    with threads.limited(3):
        assert len(parts_of(3)) == 3                    # and the pool works as before


def blas():
    return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]


def test_blas_is_held_to_one_thread_and_let_go():
    np.ones((4, 4)) @ np.ones((4, 4))
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before, inside = blas(), []
        with threads.limited(2):
            threads.split(lambda start, stop: inside.append(blas()), 2)
        assert blas() == before
        with threads.one_for_blas():
            assert set(blas()) <= {1}
        assert blas() == before
    assert set(inside[0] + inside[1]) <= {1}


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_together_runs_all_at_once(n):
    meet, seen = threading.Barrier(n, timeout=20), []

    def part(k):
        meet.wait()                                     # passes only if all n are running, whatever the number of cores
        seen.append(k)
    for _ in range(20):
        threads.together(part, n)
    assert sorted(seen) == sorted(list(range(n)) * 20)


@pytest.mark.parametrize("bad", [0, 2])
def test_together_raises_when_all_have_ended(bad):
    ended = []

    def part(k):
        if k == bad:
            raise KeyError(f"part {bad}")
        ended.append(k)
    with pytest.raises(KeyError, match=f"part {bad}"):
        threads.together(part, 3)
    assert len(ended) == 2
    threads.together(ended.append, 3)
    assert len(ended) == 5


def test_groups_of_two_threads_take_turns():
    """Two groups that were half started would wait for each other for ever."""
    def group():
        meet = threading.Barrier(3, timeout=20)
        for _ in range(50):
            threads.together(lambda k: meet.wait(), 3)
        done.append(1)
    done = []
    both = [threading.Thread(target=group) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert done == [1, 1]


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_makes_threads_of_its_own():
    import os
    with threads.limited(2):
        parts_of(2)                                     # the pool exists
        child = os.fork()
        if child == 0:
            try:
                ok = len(parts_of(2)) == 2
                threads.together(lambda k: None, 2)
                os._exit(0 if ok else 1)
            except BaseException:
                os._exit(2)
        for _ in range(2000):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                break
            threading.Event().wait(0.01)
        else:
            os.kill(child, 9)
            os.waitpid(child, 0)
            pytest.fail("the forked process waits for threads that it has not")
    assert status == 0
