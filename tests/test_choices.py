"""Choices: a softmax over an example's segments of one row, packed or not, on any devices."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from small_models import assert_close, batch_of, poisoned, small_model

from xt_jax.data.examples import ChoiceExample
from xt_jax.data.packing import materialise, plan_training
from xt_jax.data.sources import open_source
from xt_jax.errors import DataError
from xt_jax.model.heads import Model
from xt_jax.model.sharding import make_mesh, place_batch, place_params
from xt_jax.tasks import choices
from xt_jax.tasks.table import NLI, TASKS, per_example
from xt_jax.train.step import StepSpec, compile_step, init_state

TOLERANCE = 1e-5
LABELS = {4: tuple("0123"), 5: tuple("01234")}


@pytest.fixture(autouse=True)
def highest_precision():
    with jax.default_matmul_precision("highest"):
        yield


@pytest.fixture(scope="module")
def dataset(world, mini_tokenizer):
    """number of choices -> (48 examples, features) from sentences of the embedded world."""
    pairs = open_source("files", str(world)).find("mnli", "train", "en")[0].read(NLI)

    def make(n: int):
        rng = np.random.default_rng(n)
        examples = [
            ChoiceExample(
                str(i),
                pairs[i].text_a,
                tuple(" ".join(pairs[j].text_b for j in rng.integers(0, 200, k % 3 + 1))
                      for k in rng.permutation(n)),
                str(rng.integers(n)),
            )
            for i in range(48)
        ]  # fmt: skip
        return examples, choices.tokenize(examples, mini_tokenizer, LABELS[n], max_length=96)

    return {n: make(n) for n in LABELS}


@jax.jit
def loss_of(model: Model, batch):
    return choices.loss(model, batch, None)["loss"]


@jax.jit
def scores_of(model: Model, batch):
    return choices.predict(model, batch)["fields"]["score"]


def test_the_tasks_know_how_many_segments_stand_together():
    sizes = {name: per_example(task) for name, task in TASKS.items() if per_example(task) > 1}
    assert sizes == {"hellaswag": 4, "cosmos_qa": 4, "commonsense_qa": 5}


def test_features_are_pairs_of_text_and_choice_in_order(dataset, mini_tokenizer):
    examples, features = dataset[5]
    assert len(features) == 5 * 48
    for i in (0, 7, 239):
        example, choice = examples[i // 5], i % 5
        expected = mini_tokenizer(example.text, example.choices[choice])["input_ids"]
        one = features.take(np.array([i]))
        assert one.tokens["input_ids"].tolist() == expected
        values = {name: int(array[0]) for name, array in one.fields.items()}
        assert values == {"example": i // 5, "choice": choice, "label": int(example.label)}


def test_the_longer_text_is_cut_first(mini_tokenizer):
    example = ChoiceExample("a", "Anna " * 50, ("Anna",) * 4, None)
    features = choices.tokenize([example], mini_tokenizer, LABELS[4], max_length=20)
    assert features.lengths.tolist() == [20] * 4
    assert features.fields["label"].tolist() == [-1] * 4
    anna = mini_tokenizer("Anna", add_special_tokens=False)["input_ids"]
    ids = features.take(np.array([3])).tokens["input_ids"].tolist()
    assert ids[-2 - len(anna) :] == [2, *anna, 2]
    assert len(choices.tokenize([], mini_tokenizer, LABELS[4], max_length=20)) == 0
    few = example._replace(choices=example.choices[:3])
    with pytest.raises(DataError, match=r"3 choices, 4 are expected(.|\n)*example a"):
        choices.tokenize([few], mini_tokenizer, LABELS[4], max_length=20)


@pytest.mark.parametrize("n", LABELS)
def test_loss_is_the_softmax_over_each_examples_choices(n, dataset, mini_tokenizer):
    """Against scores of segments that are alone in their rows."""
    examples, features = dataset[n]
    model = small_model("hellaswag", len(mini_tokenizer))
    alone = materialise(
        plan_training(features.lengths, n * 48, 1, 0, packing=False), features, 0, 1
    )
    scores = np.empty((48, n))
    order = alone["feature"][:, 0]
    scores[order // n, order % n] = scores_of(model, alone)[:, 0]
    assert scores.std(axis=1).mean() > 0.1
    outputs = {"score": scores.reshape(-1)}
    best = [str(i) for i in scores.argmax(axis=1)]
    assert choices.decode(outputs, features, examples, LABELS[n]) == best
    assert len(set(best)) > 1
    log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    expected = -sum(log_probs[i, int(e.label)] for i, e in enumerate(examples))
    total, weight = loss_of(model, batch_of(features, 48, group=n))
    assert weight == 48
    np.testing.assert_allclose(total, expected, rtol=1e-5)


def test_an_example_twice_in_a_row_counts_twice(dataset, mini_tokenizer):
    """Small data in a large batch: both copies stand in one row and must not meet."""
    _, features = dataset[4]
    few = features.take(np.arange(8))
    model = small_model("hellaswag", len(mini_tokenizer))
    once = loss_of(model, batch_of(few, 2, group=4))
    plan = plan_training(few.lengths, 6, 3, 0, group=4, row_multiple=1024)
    batch = jax.tree.map(jnp.asarray, materialise(plan, few, 0, 1))
    rows = np.asarray(batch["feature"])
    assert any(len(set(row[row >= 0])) < (row >= 0).sum() for row in rows)
    thrice = loss_of(model, batch)
    np.testing.assert_allclose(thrice[0], 3 * once[0], rtol=1e-5)
    assert (once[1], thrice[1]) == (2, 6)


def test_unlabelled_examples_weigh_nothing(dataset, mini_tokenizer):
    examples, _ = dataset[4]
    model = small_model("hellaswag", len(mini_tokenizer))

    def sums(some):
        features = choices.tokenize(some, mini_tokenizer, LABELS[4], max_length=96)
        return loss_of(model, batch_of(features, 12, group=4))

    labelled = examples[:6]
    more = [*labelled, *(e._replace(label=None) for e in examples[6:12])]
    np.testing.assert_allclose(sums(more), sums(labelled), rtol=1e-5)
    assert sums(more)[1] == 6


def test_a_poisoned_choice_changes_no_other_score(dataset, mini_tokenizer):
    _, features = dataset[4]
    model = small_model("hellaswag", len(mini_tokenizer))
    batch = batch_of(features, 12, group=4)
    changed = poisoned(model, batch, batch["segment_ids"] == 2)
    clean, dirty = (scores_of(model, b) for b in (batch, changed))
    differs = np.asarray(jnp.abs(clean - dirty) > 0)
    valid = np.asarray(batch["feature"] >= 0)
    assert differs[:, 1][valid[:, 1]].all()
    others = np.delete(differs, 1, axis=1)
    assert not others[np.delete(valid, 1, axis=1)].any()


def test_a_poisoned_example_changes_no_other_loss(dataset, mini_tokenizer):
    """The gradient at the tokens of one example is that of the example alone."""
    _, features = dataset[4]
    graphdef, params = nnx.split(small_model("hellaswag", len(mini_tokenizer)))
    batch = batch_of(features, 12, group=4)
    poison = len(mini_tokenizer) - 1
    first = (batch["segment_ids"] >= 1) & (batch["segment_ids"] <= 4)
    changed = {**batch, "input_ids": jnp.where(first, poison, batch["input_ids"])}
    # The first example of each row loses its label, so that only the others' losses are summed.
    slots = jnp.arange(batch["label"].shape[1]) < 4

    @jax.jit
    @jax.grad
    def gradient(params, batch):
        batch = {**batch, "label": jnp.where(slots, -1, batch["label"])}
        return choices.loss(nnx.merge(graphdef, params), batch, None)["loss"][0]

    clean, dirty = (gradient(params, b) for b in (batch, changed))
    assert_close(clean, dirty, 1e-6)
    assert not jax.tree.leaves(dirty["encoder"]["embeddings"]["word"])[0][poison].any()


def run_steps(features, vocab_size: int, devices: int, accumulate: int):
    """Returns the losses, weights and parameters of one epoch: 4 steps of 12 examples."""
    mesh = make_mesh(devices=jax.devices()[:devices])
    plan = plan_training(features.lengths, 12, 1, 0, rows_multiple=8, group=4)
    graphdef, params = nnx.split(small_model("hellaswag", vocab_size))
    spec = StepSpec(graphdef, choices.loss, optax.sgd(0.05), accumulate, dropout=False)
    state = init_state(place_params(params, mesh, "replicated"), spec.optimizer, mesh, [0])
    step_fn = compile_step(spec, state)
    losses = []
    for step in range(plan.steps):
        batch = materialise(plan, features, step, 1)
        if accumulate > 1:
            batch = {k: v.reshape(accumulate, -1, *v.shape[1:]) for k, v in batch.items()}
        state, sums = step_fn(state, place_batch(batch, mesh, axis=int(accumulate > 1)))
        assert float(sums["loss"][1]) == 12
        losses.append(float(sums["loss"][0]) / 12)
    return losses, jax.device_get(state.params)


def test_accumulation_and_devices_do_not_change_the_result(dataset, mini_tokenizer):
    _, features = dataset[4]
    expected, expected_params = run_steps(features, len(mini_tokenizer), 1, 1)
    assert len(set(expected)) == 4
    for devices, accumulate in ((8, 1), (1, 4), (2, 4)):
        losses, params = run_steps(features, len(mini_tokenizer), devices, accumulate)
        np.testing.assert_allclose(losses, expected, atol=TOLERANCE)
        assert_close(params, expected_params, TOLERANCE)
