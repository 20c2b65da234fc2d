"""Work shared between two threads: each part once, errors raised, forks and rivals survived."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from nnlite import optimizers
from nnlite.backend import two_threads
from nnlite.backend.two_threads import for_each
from nnlite.backend.variables import Variable
from nnlite.optimizers import Adam, optimizer


@pytest.fixture(autouse=True)
def idle(monkeypatch):
    monkeypatch.setattr(two_threads, "idle_threads", lambda: 1)


def test_without_an_idle_core_all_parts_run_on_the_first_thread(monkeypatch):
    monkeypatch.setattr(two_threads, "idle_threads", lambda: 0)
    seen = []
    for_each(lambda part, thread: seen.append((part, thread, threading.get_ident())), range(3))
    assert seen == [(part, 0, threading.get_ident()) for part in range(3)]


def test_each_part_is_taken_once_by_either_thread():
    done, both = [], threading.Barrier(2, timeout=10)

    def take(part, thread):
        if part < 2:
            both.wait()  # passes only with a thread at each of the first two parts
        done.append((part, thread, threading.get_ident()))

    for_each(take, range(20))
    assert sorted(part for part, _, _ in done) == list(range(20))
    assert {thread for _, thread, _ in done} == {0, 1}
    assert len({ident for _, _, ident in done}) == 2


def test_the_second_thread_stays():
    for_each(lambda part, thread: time.sleep(0.001), range(4))
    second = two_threads._second
    for_each(lambda part, thread: time.sleep(0.001), range(4))
    assert two_threads._second is second


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_of_either_thread_is_raised(failing):
    both = threading.Barrier(2, timeout=10)

    def take(part, thread):
        both.wait()
        if thread == failing:
            raise ValueError(f"thread {thread}")

    with pytest.raises(ValueError, match=f"thread {failing}"):
        for_each(take, range(2))
    for_each(lambda part, thread: None, range(2))  # and the next call works


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers")
def test_an_interruption_waits_for_the_second_thread():
    begun, ended = threading.Event(), []

    def take(part, thread):
        if thread:
            begun.set()
            time.sleep(0.2)
            ended.append(part)
        else:
            begun.wait(10)
            signal.setitimer(signal.ITIMER_REAL, 0.02)

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            for_each(take, range(2))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(ended) == 1


def test_error_handling_of_numpy_is_the_callers():
    both = threading.Barrier(2, timeout=10)

    def take(part, thread):
        both.wait()
        np.float32(1) / np.zeros(1, "float32") if thread else None

    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        for_each(take, range(2))
    with np.errstate(divide="ignore"):
        for_each(take, range(2))


def test_within_a_call_another_uses_its_own_thread_alone():
    threads = []

    def outer(part, thread):
        for_each(lambda inner, number: threads.append(number), range(3))

    for_each(outer, [0])
    assert threads == [0, 0, 0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_starts_a_thread_of_its_own():
    for_each(lambda part, thread: time.sleep(0.001), range(4))
    child = os.fork()
    if not child:
        done = []
        for_each(lambda part, thread: done.append(part), range(9))
        os._exit(0 if sorted(done) == list(range(9)) else 1)
    deadline = time.monotonic() + 10
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    if ended[0] == 0:
        os.kill(child, 9)
    assert ended == (child, 0)


def stepped(make, count, steps=3):
    rng = np.random.default_rng(1)
    weight, own = Variable(rng.normal(size=count), "w"), make()
    own.build([weight])
    for _ in range(steps):
        own.apply([rng.normal(size=count)], [weight])
    return weight.value, [np.array(variable) for variable in own.variables]


@pytest.mark.parametrize("name", sorted(optimizers.registry))
def test_every_optimizer_has_equal_bits_on_one_and_two_threads(name, monkeypatch):
    def make():
        return optimizers.get({"class_name": name, "config": {"use_ema": True}})

    monkeypatch.setattr(optimizer, "takes_long_vectors", lambda dtype: False)
    monkeypatch.setattr(two_threads, "idle_threads", lambda: 0)
    one, state = stepped(make, 1001)
    monkeypatch.setattr(optimizer, "_SLICE", 150)
    monkeypatch.setattr(two_threads, "idle_threads", lambda: 1)
    used = []
    monkeypatch.setattr(
        optimizer, "for_each", lambda *given: (used.append(len(given[1])), for_each(*given))
    )
    two, again = stepped(make, 1001)
    assert used == [8, 8, 8]  # an even number of slices of at most 150
    np.testing.assert_array_equal(two, one)
    for before, after in zip(state, again, strict=True):
        np.testing.assert_array_equal(after, before)


def test_the_rule_of_a_users_class_runs_in_one_thread(monkeypatch):
    class Own(Adam):
        def rule(self, w, g, *state, scratch):
            self.seen = {*getattr(self, "seen", ()), threading.get_ident()}
            time.sleep(0.002)  # a second thread would take the next slice
            super().rule(w, g, *state, scratch=scratch)

    monkeypatch.setattr(optimizer, "_SLICE", 100)
    own = Own()
    stepped(lambda: own, 1001)
    assert own.seen == {threading.get_ident()}


def test_each_thread_has_a_scratch_of_its_own(monkeypatch):
    given = []

    def by_the_second(function, parts):
        given[:] = parts
        for _, scratch in parts:
            scratch[0].fill(np.nan)
        for part in parts:
            function(part, 1)

    monkeypatch.setattr(optimizer, "_SLICE", 100)
    monkeypatch.setattr(optimizer, "for_each", by_the_second)
    stepped(Adam, 1001)
    assert all(np.isnan(scratch[0]).all() for _, scratch in given)
    assert not any(np.isnan(scratch[1]).any() for _, scratch in given)
