"""Masked language modelling: what is masked, what it costs, and that it is learnt."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small_models import assert_close, batch_of, small_model

from xt_jax.data.examples import TextExample
from xt_jax.data.packing import Features, materialise, plan_training
from xt_jax.data.sources import open_source
from xt_jax.data.tokenize import load_tokenizer
from xt_jax.errors import ConfigError
from xt_jax.model import with_options
from xt_jax.model.heads import Model
from xt_jax.model.predict import Predictor
from xt_jax.model.sharding import make_mesh, place_batch, place_params
from xt_jax.tasks import mlm
from xt_jax.tasks.recipes import Recipe
from xt_jax.tasks.table import NLI
from xt_jax.train.optim import make_optimizer
from xt_jax.train.step import StepSpec, compile_step, init_state

TOLERANCE = 1e-5
WITHIN = 0.005  # of masking statistics


@pytest.fixture(autouse=True)
def highest_precision():
    with jax.default_matmul_precision("highest"):
        yield


@pytest.fixture(scope="module")
def lines(world) -> list[TextExample]:
    pairs = open_source("files", str(world)).find("mnli", "train", "en")[0].read(NLI)[:120]
    return [TextExample(str(i), pair.text_a) for i, pair in enumerate(pairs)]


@pytest.fixture(scope="module")
def features(lines, mini_tokenizer) -> Features:
    return mlm.tokenize(lines, mini_tokenizer, (), max_length=24)


@pytest.fixture(scope="module")
def batch(features):
    batch = batch_of(features, len(features), row_multiple=64, rows_multiple=8)
    assert batch["feature"].shape[1] > 2
    return batch


mask_tokens = jax.jit(mlm.mask_tokens)


def words_of(batch) -> int:
    """The size of the vocabulary: the mask token is the last one."""
    return int(batch["end_words"].max()) + 1


def drawn(batch, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the columns [R, M], which of them are masked, and the tokens in them afterwards."""
    masked = mask_tokens(batch, jax.random.key(seed))
    position, chosen = np.asarray(masked.position), np.asarray(masked.chosen)
    return position, chosen, np.take_along_axis(np.asarray(masked.input_ids), position, axis=1)


@jax.jit
def loss_of(model: Model, batch, key=None):
    return mlm.loss(model, batch, key)["loss"]


def test_features_are_the_lines_tokens_between_special_ones(mini_tokenizer):
    texts = ["Anna washed five birds. " * 12, "", "   ", "Anna", "Anna <mask> \u0e01"]
    examples = [TextExample(str(i), text) for i, text in enumerate(texts)]
    features = mlm.tokenize(examples, mini_tokenizer, (), max_length=16)
    assert features.fields["example"].tolist() == [0] * (len(features) - 2) + [3, 4]
    assert features.lengths.max() == 16
    assert len(features) > 4
    splits = features.splits
    joined: dict[int, list[int]] = {}
    for i, example in enumerate(features.fields["example"].tolist()):
        ids = features.tokens["input_ids"][splits[i] : splits[i + 1]].tolist()
        assert (ids[0], ids[-1]) == (0, 2)
        joined.setdefault(example, []).extend(ids[1:-1])
        maskable = features.tokens["maskable"][splits[i] : splits[i + 1]]
        special = np.isin(ids, mini_tokenizer.all_special_ids)
        np.testing.assert_array_equal(maskable, ~special)
    for example, ids in joined.items():
        assert ids == mini_tokenizer(texts[example], add_special_tokens=False)["input_ids"]
    assert {mini_tokenizer.mask_token_id, mini_tokenizer.unk_token_id} < set(joined[4])
    assert len(mlm.tokenize(examples[1:3], mini_tokenizer, (), max_length=16)) == 0


def test_random_words_are_all_but_special_ones(xlmr_tokenizer, mini_tokenizer, tmp_path):
    bert = "[PAD] [unused1] [unused2] [UNK] [CLS] [SEP] [MASK] anna sees a red car ##s".split()
    (tmp_path / "vocab.txt").write_text("\n".join(bert) + "\n")
    bert_tokenizer = load_tokenizer(str(tmp_path))
    for tokenizer, mask_id, words in (
        (xlmr_tokenizer, 250_001, (4, 250_001)),
        (mini_tokenizer, len(mini_tokenizer) - 1, (4, len(mini_tokenizer) - 1)),
        (bert_tokenizer, 6, (7, 13)),
    ):
        features = mlm.tokenize([TextExample("0", "a red car")], tokenizer, (), max_length=16)
        fields = {name: array.tolist() for name, array in features.fields.items()}
        vocabulary = {"mask_id": [mask_id], "first_word": [words[0]], "end_words": [words[1]]}
        assert fields == {"example": [0], **vocabulary}
        assert ("token_type_ids" in features.tokens) == (tokenizer is bert_tokenizer)
    assert sorted(xlmr_tokenizer.all_special_ids) == [0, 1, 2, 3, 250_001]
    bert_tokenizer.mask_token = None
    with pytest.raises(ConfigError, match="no mask token"):
        mlm.tokenize([TextExample("0", "Anna")], bert_tokenizer, (), max_length=16)


def test_masks_keep_to_the_rule(batch, mini_tokenizer):
    """Counts by row, and where masks are, on real rows."""
    masked = mask_tokens(batch, jax.random.key(3))
    ids, maskable = np.asarray(batch["input_ids"]), np.asarray(batch["maskable"])
    position, chosen = np.asarray(masked.position), np.asarray(masked.chosen)
    rows, slots = np.nonzero(chosen)
    is_masked = np.zeros_like(ids, bool)
    is_masked[rows, position[rows, slots]] = True
    assert is_masked.sum() == chosen.sum()  # distinct columns
    share = 0.15 * maskable.sum(axis=1)
    assert (np.abs(is_masked.sum(axis=1) - share) <= 0.5).all()
    assert position.shape[1] == round(0.15 * ids.shape[1])
    assert not (is_masked & (maskable == 0)).any()
    assert (np.isin(ids, mini_tokenizer.all_special_ids) == (maskable == 0)).all()
    shown = np.asarray(masked.input_ids)
    np.testing.assert_array_equal(shown[~is_masked], ids[~is_masked])
    assert (shown[is_masked] != ids[is_masked]).mean() > 0.7
    plain = np.isin(shown[is_masked], mini_tokenizer.all_special_ids)
    assert set(shown[is_masked][plain]) == {mini_tokenizer.mask_token_id}


@pytest.mark.parametrize("maskable", [0, 1, 3, 4, 10, 64])
def test_the_share_of_a_row_is_rounded(maskable):
    batch = synthetic_batch(rows=2, length=64, words=50)
    first = jnp.arange(64) < maskable
    batch["maskable"] = jnp.where(jnp.array([[True], [False]]) & first, 1, 0)
    masked = mask_tokens(batch, jax.random.key(0))
    expected = {0: 0, 1: 0, 3: 0, 4: 1, 10: 2, 64: 10}[maskable]
    assert masked.chosen.sum(axis=1).tolist() == [expected, 0]
    np.testing.assert_array_equal(masked.input_ids[1], batch["input_ids"][1])


def synthetic_batch(rows: int, length: int, words: int) -> dict[str, jax.Array]:
    """Rows of token 7 but for `<s>` in front; words are 4 .. 4 + `words`, then the mask token."""
    maskable = np.ones((rows, length), np.int32)
    maskable[:, 0] = 0
    constant = {"mask_id": 4 + words, "first_word": 4, "end_words": 4 + words}
    return {
        "input_ids": jnp.where(maskable == 1, 7, 0),
        "maskable": jnp.asarray(maskable),
        **{name: jnp.full((rows, 2), value).at[:, 1].set(0) for name, value in constant.items()},
    }


def test_masking_statistics():
    """15 % of the tokens, 80/10/10 of those, all columns and all random words alike."""
    rows, length, words, draws = 512, 201, 50, 40
    batch = synthetic_batch(rows, length, words)
    columns, shown = np.zeros(length), np.zeros(words + 5)
    pairs = 0
    for seed in range(draws):
        position, chosen, new = drawn(batch, seed)
        assert (chosen.sum(axis=1) == 30).all()
        columns += np.bincount(position[chosen], minlength=length)
        shown += np.bincount(new[chosen], minlength=words + 5)
        is_masked = np.zeros((rows, length), bool)
        is_masked[np.nonzero(chosen)[0], position[chosen]] = True
        pairs += (is_masked[:, 1:-1] & is_masked[:, 2:]).sum()
    total = rows * draws
    assert columns[0] == 0
    assert abs(columns[1:].sum() / (total * 200) - 0.15) < WITHIN
    assert np.abs(columns[1:] / total - 0.15).max() < 0.015  # six deviations of 20,480 draws
    # Neighbours are masked together as often as 30 of 200 without order give.
    assert abs(pairs / (total * 199) - 30 * 29 / (200 * 199)) < WITHIN
    shares = shown / shown.sum()
    random = np.delete(shares[4 : 4 + words], 3)  # without token 7, which is kept too
    assert abs(shares[4 + words] - 0.8) < WITHIN
    assert abs(random.sum() * words / (words - 1) - 0.1) < WITHIN
    assert abs(shares[7] - 0.1 - 0.1 / words) < WITHIN
    assert not shares[:4].any()
    np.testing.assert_allclose(random, 0.1 / words, rtol=0.15)


def test_what_becomes_of_a_token_does_not_depend_on_where_it_is():
    """Were the order of the random scores reused, late columns would be kept more often."""
    batch = synthetic_batch(512, 64, 50)
    by_column = np.zeros((2, 64))
    for seed in range(60):
        position, chosen, new = drawn(batch, seed)
        for kind, values in enumerate((chosen, chosen & (new == 54))):
            by_column[kind] += np.bincount(position[values], minlength=64)
    assert np.abs(by_column[1, 1:] / by_column[0, 1:] - 0.8).max() < 0.04
    rank = np.broadcast_to(np.arange(chosen.shape[1]), chosen.shape)
    hidden = np.asarray(new) == 54
    first, last = (hidden[chosen & part].mean() for part in (rank < 3, rank >= 6))
    assert abs(first - last) < 0.06


def test_masks_follow_the_key(batch):
    model = small_model("mlm", words_of(batch))
    model.encoder = with_options(model.encoder, dropout=0.0, attention_dropout=0.0)
    one, same, other = (mask_tokens(batch, jax.random.key(k)).input_ids for k in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).mean() > 0.1
    losses = [float(loss_of(model, batch, jax.random.key(k))[0]) for k in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]
    assert float(loss_of(model, batch)[0]) == float(loss_of(model, batch)[0])


def test_loss_is_that_of_the_masked_tokens_among_all_logits(batch):
    """Against logits of every token, of which the masked ones are picked on the host."""
    model = small_model("mlm", words_of(batch))
    total, weight = loss_of(model, batch)
    masked = mask_tokens(batch, jax.random.key(mlm.EVALUATION_SEED))
    hidden = model.encoder(masked.input_ids, batch["positions"], batch["segment_ids"])
    table = np.asarray(model.encoder.embeddings.word.embedding[...])
    head = model.head
    y = np.asarray(jax.nn.gelu(hidden @ head.dense.kernel[...] + head.dense.bias[...], False))
    y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-5)
    logits = y @ table.T
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    gold = np.asarray(batch["input_ids"])
    each = -np.take_along_axis(log_probs, gold[..., None], axis=-1)[..., 0]
    chosen, position = np.asarray(masked.chosen), np.asarray(masked.position)
    expected = np.take_along_axis(each, position, axis=1)[chosen]
    assert weight == len(expected) > 50
    np.testing.assert_allclose(total, expected.sum(), rtol=1e-5)


def test_no_array_has_a_logit_for_every_token(batch):
    vocab = 1000
    model = small_model("mlm", vocab)
    graphdef, params = nnx.split(model)
    key = jax.random.key(0)

    def value(params):
        return mlm.loss(nnx.merge(graphdef, params), batch, key)["loss"][0]

    text = str(jax.make_jaxpr(jax.grad(value))(params))
    rows, length = batch["input_ids"].shape
    assert f"f32[{rows},{round(0.15 * length)},{vocab}]" in text
    assert f"[{rows},{length},{vocab}]" not in text
    assert f"[{rows * length},{vocab}]" not in text


def test_the_embedding_learns_from_both_of_its_uses(batch):
    vocab = words_of(batch)
    graphdef, params = nnx.split(small_model("mlm", vocab))

    @jax.jit
    @jax.grad
    def gradient(params):
        return mlm.loss(nnx.merge(graphdef, params), batch, None)["loss"][0]

    grads = gradient(params)
    table = np.abs(grads["encoder"]["embeddings"]["word"]["embedding"][...]).max(axis=1)
    shown = np.unique(mask_tokens(batch, jax.random.key(mlm.EVALUATION_SEED)).input_ids)
    absent = np.setdiff1d(np.arange(vocab), shown)
    assert len(absent) > 50
    assert (table > 0).all()  # as logits, of words that no row shows too
    assert table[shown].mean() > 2 * table[absent].mean()  # and as what the encoder sees
    assert all(float(jnp.abs(g).max()) > 0 for g in jax.tree.leaves(grads["head"]))


def test_a_mesh_masks_and_learns_the_same(batch):
    """The same masks, loss and gradients on one and on eight devices, with dropout."""
    graphdef, params = nnx.split(small_model("mlm", words_of(batch)))

    @jax.jit
    @jax.value_and_grad
    def loss(params, batch):
        return mlm.loss(nnx.merge(graphdef, params), batch, jax.random.key(5))["loss"][0] / 100

    results = []
    for devices in (1, 8):
        mesh = make_mesh(devices=jax.devices()[:devices])
        placed = place_params(params, mesh, "replicated")
        rows = place_batch(jax.device_get(batch), mesh)
        results.append(jax.device_get((loss(placed, rows), mask_tokens(rows, jax.random.key(5)))))
    assert_close(*results, TOLERANCE)


def test_predictions_are_the_sums_of_each_example(lines, features, mini_tokenizer):
    assert len(features) > len(lines) + 5  # some lines are in several pieces
    model = small_model("mlm", len(mini_tokenizer))
    graphdef, params = nnx.split(model)
    mesh = make_mesh(devices=jax.devices()[:1])
    predictor = Predictor(graphdef, mlm.predict, mesh, model.encoder.config)
    stream = predictor.stream([features])
    ((_, outputs),) = predictor(params, stream)
    predictions = mlm.decode(outputs, features, lines, ())
    assert len(predictions) == len(lines)
    (total, weight) = map(sum, zip(*predictions, strict=True))
    batches = [jax.tree.map(jnp.asarray, stream.batch(s, 1)) for s in range(stream.plan.steps)]
    sums = [loss_of(model, b) for b in batches]
    assert weight == sum(w for _, w in sums)
    np.testing.assert_allclose(total, sum(t for t, _ in sums), rtol=1e-5)
    words = np.concatenate([np.asarray(b["maskable"]).sum(axis=1) for b in batches])
    assert words.sum() == features.tokens["maskable"].sum()
    assert weight == ((15 * words + 50) // 100).sum()  # 15 % of each row, rounded
    # Segment by segment: each row's masks fall where its segments are.
    masked = jax.device_get(mask_tokens(batches[0], jax.random.key(mlm.EVALUATION_SEED)))
    segment = np.take_along_axis(np.asarray(batches[0]["segment_ids"]), masked.position, axis=1)
    placed = np.asarray(batches[0]["feature"])
    assert placed[:, 1].max() >= 0
    for row, slot in np.argwhere(placed >= 0)[:20]:
        feature = stream.plan.feature[placed[row, slot]]
        assert outputs["count"][feature] == (masked.chosen[row] & (segment[row] == slot + 1)).sum()
    assert (outputs["loss"][outputs["count"] == 0] == 0).all()
    assert (outputs["loss"][outputs["count"] > 0] > 0).all()


TRAIN, DEV = 250, 100  # sentences of each language
LANGUAGES = ("de", "tr", "ru", "fi", "ar", "hi", "zh")


@pytest.mark.slow
def test_a_small_encoder_learns_real_text_of_seven_languages(shared, xlmr_tokenizer):
    """Sentences of Tatoeba, ids renumbered to the frequent ones; loss by language on others."""
    source = open_source("files", str(shared / "data"))
    train: list[TextExample] = []
    dev: list[TextExample] = []
    for language in LANGUAGES:
        examples = source.find("tatoeba", "test", language)[0].read(())
        texts = [TextExample(f"{language}-{e.id}", e.translation) for e in examples]
        train += texts[:TRAIN]
        dev += texts[TRAIN : TRAIN + DEV]
    together = mlm.tokenize([*train, *dev], xlmr_tokenizer, (), max_length=64)
    together, vocab = renumbered(together)
    of_train = together.fields["example"] < len(train)
    features = together.take(np.flatnonzero(of_train))
    recipe = Recipe(learning_rate=5e-3, epochs=7, batch_size=64)
    plan = plan_training(features.lengths, recipe.batch_size, recipe.epochs, 0, row_multiple=64)
    model = small_model("mlm", vocab, 0.05, 64)
    graphdef, params = nnx.split(model)
    mesh = make_mesh(devices=jax.devices()[:1])
    optimizer = make_optimizer(recipe, plan.steps)
    spec = StepSpec(graphdef, mlm.loss, optimizer, clip_norm=recipe.clip_norm)
    state = init_state(place_params(params, mesh, "replicated"), spec.optimizer, mesh, [0])
    step_fn = compile_step(spec, state)

    example = together.fields["example"] - len(train)
    parts = [together.take(np.flatnonzero(example // DEV == i)) for i in range(len(LANGUAGES))]
    predictor = Predictor(graphdef, mlm.predict, mesh, model.encoder.config)
    stream = predictor.stream(parts)

    def by_language(params) -> list[float]:
        return [float(o["loss"].sum() / o["count"].sum()) for _, o in predictor(params, stream)]

    before = by_language(state.params)
    losses = []
    for step in range(plan.steps):
        state, sums = step_fn(state, place_batch(materialise(plan, features, step, 1), mesh))
        losses.append(float(sums["loss"][0] / sums["loss"][1]))
    after = by_language(state.params)
    assert all(abs(x - np.log(vocab)) < 0.3 for x in before)
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 1
    assert all(b > a + 0.5 for b, a in zip(before, after, strict=True)), (before, after)


def renumbered(features: Features) -> tuple[Features, int]:
    """Renumbers to the ids 0 to 3, frequent words and the mask token, and counts the ids kept."""
    ids = features.tokens["input_ids"]
    frequent = np.flatnonzero(np.bincount(ids) >= 4)
    kept = np.union1d(frequent, np.arange(4))
    is_kept = np.isin(ids, kept)
    tokens = {
        "input_ids": np.where(is_kept, np.searchsorted(kept, ids), 3).astype(np.int32),
        "maskable": features.tokens["maskable"] * is_kept,
    }
    constant = {"mask_id": len(kept), "first_word": 4, "end_words": len(kept)}
    fields = {name: np.full(len(features), value, np.int32) for name, value in constant.items()}
    return Features(features.lengths, tokens, features.fields | fields), len(kept) + 1
