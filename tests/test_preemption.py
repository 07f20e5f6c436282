"""SIGTERM or Ctrl-C in training: that step is saved, and the rest ends with its numbers."""

from __future__ import annotations

import dataclasses
import os
import signal

import jax
import pytest
from test_predict import data_set, echo, predictor_of
from training import CONFIG, ONE, RECIPE, run_in, weights_sum

from xt_jax import preemption
from xt_jax.config import TrainConfig
from xt_jax.preemption import Preempted
from xt_jax.train import loop
from xt_jax.train.checkpoint import SavedStates
from xt_jax.train.loop import fit

EVERY = 4


@pytest.fixture(autouse=True)
def watching(monkeypatch):
    before = {number: signal.getsignal(number) for number in preemption.SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # not ignored, as in the background
    preemption.watch()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    preemption.REQUEST.asked.clear()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The progress of a run that nobody ends, and what each evaluation saw."""
    return fit_in(tmp_path_factory.mktemp("whole"))


def fit_in(folder, *, at_step: int = 0, in_evaluation: int = 0, number=signal.SIGTERM):
    """Progress, and what each evaluation saw; a signal before a step or in an evaluation."""
    seen: list[float] = []
    made = 0

    def evaluate(params) -> float:
        seen.append(weights_sum(params))
        if in_evaluation and len(seen) == in_evaluation:
            os.kill(os.getpid(), number)
            raise AssertionError("the signal was not heard at once")
        return -seen[-1]

    def placed(*args, **kwargs):
        nonlocal made
        made += 1
        if made == at_step:
            os.kill(os.getpid(), number)
        return place_batch(*args, **kwargs)

    place_batch = loop.place_batch
    run, params = run_in(folder, evaluate, recipe=dataclasses.replace(RECIPE, eval_every=EVERY))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "place_batch", placed)
        return fit(
            run, params, CONFIG, TrainConfig(save_every_steps=1000, log_every=100), ONE
        ), seen


def saved_steps(folder) -> list[str]:
    return [path.name for path in (folder / "checkpoints").glob("[0-9]*")]


@pytest.mark.parametrize(
    ("asked", "status", "step", "seen"),
    [
        ({"at_step": 3}, 143, 3, 0),
        ({"at_step": 4, "number": signal.SIGINT}, 130, 4, 1),
        ({"in_evaluation": 2}, 143, 2 * EVERY, 1),  # which is made again
    ],
)
def test_a_run_that_is_asked_to_end_saves_the_step_it_is_in(
    tmp_path, whole, asked, status, step, seen
):
    progress, scores = whole
    with pytest.raises(Preempted) as error:
        fit_in(tmp_path, **asked)
    assert error.value.code == status
    assert saved_steps(tmp_path) == [str(step)]
    preemption.REQUEST.asked.clear()
    assert fit_in(tmp_path) == (progress, scores[seen:])


def test_a_save_in_progress_is_waited_for(tmp_path, monkeypatch):
    """Though the signal comes again while it is."""
    original = SavedStates.close
    waited = []

    def close(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        original(self)
        waited.append(saved_steps(tmp_path))

    monkeypatch.setattr(SavedStates, "close", close)
    with pytest.raises(Preempted):
        fit_in(tmp_path, at_step=3)
    assert waited == [["3"]]


def test_where_several_processes_predict_they_end_before_the_next_step(monkeypatch):
    """Stood in for by one in which the signal is only noted."""
    monkeypatch.setattr(preemption.REQUEST, "deferred", True)
    predictor, params = predictor_of(echo)
    stream = predictor.stream([data_set(40, 0)])
    assert len(list(predictor(params, stream))) == 1
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Preempted):
        list(predictor(params, stream))


def test_elsewhere_it_ends_at_once():
    with pytest.raises(Preempted):
        os.kill(os.getpid(), signal.SIGTERM)
    preemption.REQUEST.asked.clear()
    with preemption.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        assert preemption.is_asked()
        with preemption.deferred(False), pytest.raises(Preempted):
            os.kill(os.getpid(), signal.SIGTERM)
    assert jax.process_count() == 1


def test_a_second_ctrl_c_does_not_wait():
    with preemption.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
