"""The families: features, packed = unpacked, segments that do not see each other, decoding."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small_models import assert_close, batch_of, poisoned, small_model

from xt_jax.data.examples import PairExample, SpanExample, TagExample
from xt_jax.data.packing import IGNORE, Features
from xt_jax.data.sources import open_source
from xt_jax.data.tokenize import Template, load_tokenizer
from xt_jax.model import param_path, preset
from xt_jax.model.heads import Model, head_type_of
from xt_jax.model.predict import Predictor
from xt_jax.model.sharding import make_mesh
from xt_jax.report.statistics.chance import chance
from xt_jax.study import datasets
from xt_jax.tasks import pairs, spans, spans_or_none, tags
from xt_jax.tasks.table import ENTITIES, FAMILIES, TASKS, UPOS, per_example

TOLERANCE = 1e-5
# Tasks of each family whose loss follows from the features alone; mlm has tests of its own.
TRAINED = ("mnli", "squad", "udpos", "hellaswag", "commonsense_qa")
LIMITS = {"max_length": 96, "doc_stride": 24}


@pytest.fixture(autouse=True)
def highest_precision():
    with jax.default_matmul_precision("highest"):
        yield


@pytest.fixture(scope="module")
def dataset(world, mini_tokenizer):
    """name -> (examples, features) of the embedded world's English training data."""

    def make(name: str):
        task = TASKS[name]
        (found, *_) = open_source("files", str(world)).find(task.train[0], "train", "en")
        examples = found.read(task.labels)[:60]
        family = FAMILIES[task.family]
        return examples, family.tokenize(examples, mini_tokenizer, task.labels, **LIMITS)

    return {name: make(name) for name in TRAINED}


def summed_loss(task: str, model: Model, batch) -> tuple[jax.Array, jax.Array]:
    return FAMILIES[TASKS[task].family].loss(model, batch, None)["loss"]


@pytest.mark.parametrize("task", TRAINED)
def test_loss_and_every_gradient_are_the_same_packed_and_unpacked(task, dataset, mini_tokenizer):
    _, features = dataset[task]
    graphdef, params = nnx.split(small_model(task, len(mini_tokenizer)))

    def mean_loss(params, batch):
        total, weight = summed_loss(task, nnx.merge(graphdef, params), batch)
        return total / weight

    group = per_example(TASKS[task])
    results = []
    for packing in (True, False):
        batch = batch_of(features, 24 // group, packing=packing, group=group)
        assert (batch["segment_ids"].max() > group) == packing
        results.append(jax.jit(jax.value_and_grad(mean_loss))(params, batch))
    assert_close(*results, TOLERANCE)
    assert max(float(jnp.abs(g).max()) for g in jax.tree.leaves(results[1][1])) > 1e-3


def test_a_poisoned_segment_changes_no_other(dataset, mini_tokenizer):
    _, features = dataset["mnli"]
    model = small_model("mnli", len(mini_tokenizer))
    batch = batch_of(features, 24)
    where = batch["segment_ids"] == 1
    changed = poisoned(model, batch, where)

    def hidden(batch):
        return model.encoder(batch["input_ids"], batch["positions"], batch["segment_ids"])

    difference = jnp.abs(hidden(batch) - hidden(changed))
    assert (difference[where] > 1e-2).any()
    assert (difference[~where] == 0).all()


def perfect_outputs(features) -> dict[str, np.ndarray]:
    """Returns logits [tokens] that are high where each feature's answer starts and ends."""
    outputs = {}
    for name in ("start", "end"):
        outputs[name] = np.full(len(features.tokens["input_ids"]), -5.0, np.float32)
        outputs[name][features.splits[:-1] + features.fields[name]] = 5.0
    return outputs


def real_examples(shared, task: str, most: int) -> list[SpanExample]:
    return open_source("files", str(shared / "data")).find(task, "dev", "en")[0].read(())[:most]


def test_perfect_span_logits_give_the_gold_answers_of_the_real_squad(shared, xlmr_tokenizer):
    task = TASKS["squad"]
    examples = real_examples(shared, "squad", 200)
    features = spans.tokenize(examples, xlmr_tokenizer, (), max_length=128, doc_stride=48)
    assert len(features) > len(examples)  # several windows for most contexts
    predictions = spans.decode(perfect_outputs(features), features, examples, ())
    gold = [e.answers[0][0] for e in examples]
    assert all(answer in p for answer, p in zip(gold, predictions, strict=True))
    assert all(p in e.context for p, e in zip(predictions, examples, strict=True))
    # The rest begin or end inside a token ("1995" in "1995.").
    assert spans.score(task, examples, predictions, "en")["exact_match"] >= 90


@pytest.mark.parametrize("answers", [(), None])
def test_a_question_without_answer_points_at_the_first_token(mini_tokenizer, answers):
    example = SpanExample("q", "Anna?", ("Anna " * 60).strip(), answers)
    features = spans.tokenize([example], mini_tokenizer, (), max_length=32, doc_stride=8)
    assert len(features) > 3
    for name in ("start", "end"):
        assert not features.fields[name].any()
    model = small_model("squad_v2", len(mini_tokenizer))
    total, weight = summed_loss("squad_v2", model, batch_of(features, len(features)))
    assert weight == len(features)
    assert 0 < total < 100


def test_perfect_logits_tell_which_questions_of_the_real_squad_v2_have_no_answer(
    shared, xlmr_tokenizer
):
    examples = real_examples(shared, "squad_v2", 150)
    features = spans.tokenize(examples, xlmr_tokenizer, (), max_length=256, doc_stride=96)
    outputs = perfect_outputs(features)
    predictions = spans_or_none.decode(outputs, features, examples, ())
    none = [odds for (_, odds), e in zip(predictions, examples, strict=True) if not e.answers]
    answerable = [
        (text, odds, e) for (text, odds), e in zip(predictions, examples, strict=True) if e.answers
    ]
    assert len(none) > 30
    assert len(answerable) > 30
    assert min(none) > 0
    assert all(odds <= 0 and e.answers[0][0] in text for text, odds, e in answerable)
    best = [text for text, _ in predictions]
    assert best == spans.decode(outputs, features, examples, ())


def test_null_odds_are_the_worst_null_less_the_best_span():
    """Two overlapping windows of `<s>` and three context tokens, and an empty context."""
    features = Features(
        np.array([4, 4, 2], np.int32),
        {"input_ids": np.zeros(10, np.int32)},
        {"example": np.array([0, 0, 1])},
        {
            "begin": np.array([-1, 0, 2, 4, -1, 4, 6, 8, -1, -1]),
            "end": np.array([-1, 1, 3, 5, -1, 5, 7, 9, -1, -1]),
            "max_context": np.array([0, 1, 1, 0, 0, 1, 1, 1, 0, 0]),
        },
    )
    examples = [SpanExample("a", "?", "0 2 4 6 8", ()), SpanExample("b", "?", "", ())]
    outputs = {
        "start": np.array([3.0, 0, 1, 9, 2.0, 4, 0, 0, 1.5, 0]),
        "end": np.array([2.0, 0, 0, 1, 2.5, 0, 2, 0, 1.0, 0]),
    }
    # Nulls 5 and 4.5; spans 1 + 1 in the first window, 4 + 2 in the second, which owns `4`.
    assert spans_or_none.decode(outputs, features, examples, ()) == [("4 6", -1.5), ("", 2.5)]


def test_windows_cover_the_context_and_exactly_one_gives_each_token_most_context(
    shared, xlmr_tokenizer
):
    examples = real_examples(shared, "squad", 20)
    features = spans.tokenize(examples, xlmr_tokenizer, (), max_length=96, doc_stride=32)
    assert features.lengths.max() <= 96
    owners: dict[tuple[int, int, int], int] = {}
    example_of = np.repeat(features.fields["example"], features.lengths)
    host = features.host
    for example, begin, end, most in zip(
        example_of, host["begin"], host["end"], host["max_context"], strict=True
    ):
        if begin >= 0:
            place = (example, begin, end)
            owners[place] = owners.get(place, 0) + most
    assert set(owners.values()) == {1}
    ends = {e: max(end for example, _, end in owners if example == e) for e in range(20)}
    assert all(ends[i] == len(example.context.rstrip()) for i, example in enumerate(examples))


def test_a_token_belongs_to_the_window_whose_edges_are_farthest():
    cuts = spans._cuts(10, 6, 2)
    assert [(cut.first, cut.length) for cut in cuts] == [(0, 6), (2, 6), (4, 6)]
    owned = [[cut.first + i for i in np.flatnonzero(cut.owned)] for cut in cuts]
    assert owned == [[0, 1, 2, 3], [4, 5], [6, 7, 8, 9]]


def test_an_answer_outside_the_window_is_labelled_with_the_first_token(mini_tokenizer):
    words = "Anna " * 60
    example = SpanExample("q", "Anna?", words.strip(), (("Anna", 5 * 59),))
    features = spans.tokenize([example], mini_tokenizer, (), max_length=32, doc_stride=8)
    assert len(features) > 3
    assert (features.fields["start"][:-1] == 0).any()
    assert features.fields["start"][-1] > 0


def test_best_span_obeys_order_length_and_context():
    n = 50
    start, end = np.zeros(n, np.float32), np.zeros(n, np.float32)
    chars = np.arange(n)
    start[48], end[2] = 10, 10  # the best pair runs backwards
    start[5], end[45] = 9, 9  # the next is 41 tokens long
    end[10], end[49] = 7, 1

    def best(begin, owned):
        return spans.best_span(start, end, begin=begin, end=chars + 1, max_context=owned)

    everywhere = np.ones(n, int)
    assert best(chars, everywhere) == (16.0, 5, 11)
    assert best(chars, np.where(chars == 5, 0, 1)) == (11.0, 48, 50)
    assert best(np.where(chars >= 20, chars, -1), everywhere) == (11.0, 48, 50)
    assert best(np.full(n, -1), everywhere) is None


@pytest.mark.parametrize("max_length", [12, 24, 256])
def test_no_word_is_lost_however_short_the_rows(shared, xlmr_tokenizer, max_length):
    task = TASKS["udpos"]
    examples = open_source("files", str(shared / "data")).find("udpos", "dev", "de")[0].read(UPOS)
    features = tags.tokenize(examples, xlmr_tokenizer, UPOS, max_length=max_length)
    assert features.lengths.max() <= max_length
    labelled = features.tokens["labels"] != IGNORE
    assert (labelled == (features.host["word"] >= 0)).all()
    assert labelled.sum() == sum(len(e.words) for e in examples)
    outputs = {"tag": np.where(labelled, features.tokens["labels"], 0)}
    predictions = tags.decode(outputs, features, examples, UPOS)
    scores = FAMILIES["tags"].scores(task, examples, predictions, "de")
    assert scores == {"f1": 100.0, "accuracy": 100.0}


def test_a_tag_that_is_no_label_is_not_learnt_but_predicted(mini_tokenizer):
    example = TagExample("0", ("Anna", "sees", "Berlin"), ("N", "(S\\NP)/NP", "rare"))
    labels = ("N", "(S\\NP)/NP")
    features = tags.tokenize([example], mini_tokenizer, labels, max_length=32)
    word = features.host["word"]
    gold = features.tokens["labels"][word >= 0]
    assert gold.tolist() == [0, 1, IGNORE]
    predictions = tags.decode({"tag": np.ones(len(word), int)}, features, [example], labels)
    assert predictions == [["(S\\NP)/NP"] * 3]
    model = small_model("udpos", len(mini_tokenizer))
    assert summed_loss("udpos", model, batch_of(features, 1))[1] == 2


def test_a_word_that_tokenises_to_nothing_or_to_too_much_becomes_unknown(xlmr_tokenizer):
    words = ("​", "Haus", "x" * 400, "")
    example = TagExample("0", words, ("O",) * 4)
    features = tags.tokenize([example], xlmr_tokenizer, ENTITIES, max_length=16)
    word = features.host["word"]
    assert sorted(word[word >= 0]) == [0, 1, 2, 3]
    ids = features.tokens["input_ids"]
    for w in (0, 2, 3):
        assert ids[word == w] == xlmr_tokenizer.unk_token_id


@pytest.fixture
def bert_tokenizer(tmp_path):
    """A BERT tokenizer, which tells two texts apart by their token type."""
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] anna sees a red car in berlin . ? who where ##s".split()
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    return load_tokenizer(str(tmp_path))


def test_token_types_of_a_bert_tokenizer_mark_the_second_text(bert_tokenizer):
    pair = PairExample("0", "Anna sees a car", "in Berlin .", "entailment")
    labels = ("entailment",)
    features = pairs.tokenize([pair], bert_tokenizer, labels, max_length=32)
    assert features.tokens["token_type_ids"].tolist() == [0] * 6 + [1] * 4
    question = SpanExample("0", "who sees a car ?", "Anna sees a red car .", (("Anna", 0),))
    features = spans.tokenize([question], bert_tokenizer, (), max_length=96, doc_stride=16)
    expected = bert_tokenizer(question.question, question.context)
    assert features.tokens["input_ids"].tolist() == expected["input_ids"]
    assert features.tokens["token_type_ids"].tolist() == expected["token_type_ids"]
    assert features.fields["start"].tolist() == [7]
    tagged = TagExample("0", ("Anna", "sees", "Berlin"), ("B-PER", "O", "B-LOC"))
    features = tags.tokenize([tagged], bert_tokenizer, ENTITIES, max_length=32)
    assert features.tokens["token_type_ids"].tolist() == [0] * 5


def test_the_template_is_the_tokenizers_own(xlmr_tokenizer):
    template = Template.of(xlmr_tokenizer)
    assert (template.before, template.between, template.after) == ([0], [2, 2], [2])
    assert template.single == 2


@pytest.mark.parametrize("task", [*TRAINED, "tatoeba"])
@pytest.mark.parametrize("devices", [1, 8])
def test_prediction_does_not_depend_on_packing_or_devices(
    task, devices, dataset, world, mini_tokenizer
):
    row = TASKS[task]
    if task == "tatoeba":
        examples = open_source("files", str(world)).find(task, "test", "de")[0].read(())[:40]
        features = FAMILIES[row.family].tokenize(examples, mini_tokenizer, (), **LIMITS)
        model = small_model("mnli", len(mini_tokenizer)).encoder
    else:
        _, features = dataset[task]
        model = small_model(task, len(mini_tokenizer))
    graphdef, params = nnx.split(model)
    mesh = make_mesh(devices=jax.devices()[:devices])
    config = getattr(model, "encoder", model).config
    predictor = Predictor(graphdef, FAMILIES[row.family].predict, mesh, config)
    ((_, packed),), ((_, plain),) = (
        predictor(params, predictor.stream([features], packing=packing))
        for packing in (True, False)
    )
    assert packed.keys() == plain.keys() != set()
    assert_close(packed, plain)


@pytest.mark.parametrize("task", ["mnli", "squad", "udpos", "tatoeba"])
def test_examples_tokenised_some_at_a_time_are_those_tokenised_at_once(
    task, world, mini_tokenizer, monkeypatch
):
    row = TASKS[task]
    split, language = ("test", "de") if task == "tatoeba" else ("train", "en")
    files = open_source("files", str(world))
    examples = files.find(task, split, language)[0].read(row.labels)[:20]
    at_once = datasets.tokenised(row, examples, mini_tokenizer, **LIMITS)
    monkeypatch.setattr(datasets, "CHUNK", 7)
    parts = datasets.tokenised(row, examples, mini_tokenizer, **LIMITS)
    np.testing.assert_array_equal(parts.lengths, at_once.lengths)
    for group in ("tokens", "fields", "host"):
        for name, array in getattr(at_once, group).items():
            np.testing.assert_array_equal(getattr(parts, group)[name], array)
    assert len(datasets.tokenised(row, [], mini_tokenizer, **LIMITS)) == 0


def test_a_file_without_an_example_takes_nothing_from_those_joined_with_it(bert_tokenizer):
    def part(count: int) -> datasets.Dataset:
        examples = [PairExample(str(i), "a b", "c", "neutral") for i in range(count)]
        features = pairs.tokenize(examples, bert_tokenizer, ("neutral",), max_length=16)
        sizes = (len(features),)
        return datasets.Dataset("dev", "en", features, str(count), sizes, lambda: examples)

    both = datasets._join([part(0), part(2), part(0), part(1)])
    assert both.sizes == (0, 2, 0, 1)
    assert "token_type_ids" in both.features.tokens
    assert both.features.fields["example"].tolist() == [0, 1, 2]
    assert len(both.examples) == 3


@pytest.mark.parametrize("task", TASKS)
def test_a_task_has_all_that_training_reports_and_files_ask_for(task):
    """What would else be missed after hours: per-example scores, chance level, head names."""
    row = TASKS[task]
    family = FAMILIES[row.family]
    assert (family.example_scores is None) == (row.family == "mlm")
    assert (chance(task, 100) is None) == (row.family in ("retrieval", "mining", "mlm"))
    if family.head is not None:
        config = preset("tiny").config
        head = nnx.eval_shape(lambda: family.head(config, 3, nnx.Rngs(0)))
        assert head_type_of(f"XLMRoberta{head.hf_class}") is type(head)
        paths = {param_path(path) for path, _ in jax.tree.leaves_with_path(nnx.state(head))}
        assert {entry.path for entry in head.entries(config)} == paths
