"""A family from outside the package: one text, one topic, in a tenth target of its own."""

from __future__ import annotations

import random
from typing import NamedTuple

import jax.numpy as jnp
import optax
import pytest

from xt_jax.config import Config, DataConfig, ModelConfig
from xt_jax.data.sources import layout
from xt_jax.data.sources.candidates import Candidate
from xt_jax.data.tokenize import ragged
from xt_jax.errors import ConfigError
from xt_jax.model.heads import Head, take_tokens
from xt_jax.model.hf_table import linear
from xt_jax.model.layers import Linear
from xt_jax.records.results import read_rows
from xt_jax.report.statistics.chance import chance
from xt_jax.study import runner
from xt_jax.tasks.family import Family, Task
from xt_jax.tasks.metrics.basic import accuracy, matches, over_one
from xt_jax.tasks.packed import run_encoder
from xt_jax.tasks.recipes import Recipe
from xt_jax.tasks.table import FAMILIES, TARGETS, TASKS, register

TOPICS = ("animals", "food")
WORDS = {"animals": "cat dog horse bird cow".split(), "food": "bread tea cheese rice apple".split()}


class TopicExample(NamedTuple):
    id: str
    text: str
    label: str | None

    @property
    def texts(self):
        return (self.text,)

    def lengths(self, sizes, single, pair):
        return [sum(sizes) + single]


class TopicHead(Head):
    """A linear layer on the first token."""

    hf_class = "ForTopics"
    hf_entries = linear("topics", "out_proj")

    def __init__(self, config, labels, rngs, dropout=None):
        self.out_proj = Linear(config.hidden_size, labels, 0.1, rngs=rngs)

    def __call__(self, x):
        return self.out_proj(x.astype(jnp.float32))


def read(paths, language, labels):
    lines = [line.split("\t") for path in paths for line in path.read_text().splitlines()]
    return [TopicExample(str(i), text, label) for i, (text, label) in enumerate(lines)]


def tokenize(examples, tokenizer, labels, **limits):
    encoded = tokenizer([e.text for e in examples], return_attention_mask=False)
    gold = [labels.index(e.label) for e in examples]
    return ragged(dict(encoded), {"example": range(len(examples)), "label": gold})


def logits(model, batch, key=None):
    return model.head(take_tokens(run_encoder(model.encoder, batch, key), batch["starts"]))


def loss(model, batch, key):
    valid = batch["feature"] >= 0
    scores = logits(model, batch, key)
    each = optax.softmax_cross_entropy_with_integer_labels(scores, batch["label"])
    return {"loss": (jnp.sum(each * valid), jnp.sum(valid))}


def predict(model, batch):
    return {"fields": {"label": jnp.argmax(logits(model, batch), axis=-1)}, "tokens": {}}


def score(task, examples, predictions, language):
    return {"accuracy": accuracy([e.label for e in examples], predictions)}


FAMILY = Family(
    "topics",
    TopicExample,
    tokenize,
    predict,
    score,
    head=TopicHead,
    loss=loss,
    decode=lambda outputs, features, examples, labels: [labels[i] for i in outputs["label"]],
    example_scores=lambda task, examples, said, _: over_one(
        matches([e.label for e in examples], said)
    ),
    chance=lambda task, n: 50.0,
)
RECIPE = Recipe(learning_rate=3e-3, epochs=20, batch_size=16, max_length=64)
TASK = Task("topics", "topics", RECIPE, ("en", "zh-CN"), ("accuracy",), TOPICS, ("topics",))


@pytest.fixture
def topics(monkeypatch, tmp_path):
    """Registers the family for a test and returns the folder of its files."""
    for rows in (FAMILIES, TASKS):
        monkeypatch.setitem(rows, "topics", None)  # so that what is registered goes again
    register(FAMILY, TASK)
    splits = {split: split for split in ("train", "dev", "test")}
    files = Candidate(("topics/{split}-{lang}.tsv",), read)
    monkeypatch.setitem(layout.LAYOUT, "topics", [(splits, files)])
    rng = random.Random(0)
    for split, language in [("train", "en"), ("dev", "en"), ("test", "en"), ("test", "zh-CN")]:
        lines = []
        for _ in range(64):
            label = rng.choice(TOPICS)
            lines.append(f"{' '.join(rng.choices(WORDS[label], k=4))}\t{label}\n")
        path = tmp_path / "data" / "topics" / f"{split}-{language}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines))
    return tmp_path / "data"


def test_a_study_trains_and_scores_a_family_from_outside(
    topics, mini_tokenizer_folder, tmp_path, one_device
):
    config = Config(
        model=ModelConfig("tiny", str(mini_tokenizer_folder)),
        data=DataConfig(dir=str(topics)),
        targets=("topics",),
        intermediates=("direct",),
    )
    runner.run(config, str(tmp_path / "work"))
    rows = read_rows(tmp_path / "work" / "results.jsonl")
    assert {row["language"]: row["n"] for row in rows} == {"en": 64, "zh-CN": 64}
    assert all(row["value"] > 90 > chance("topics", row["n"]) for row in rows)
    assert len(list((tmp_path / "work" / "example_scores").iterdir())) == 2
    report = (tmp_path / "work" / "report.md").read_text()
    assert "topics" in report
    # A target that no benchmark scores is none of the default ones, and is not submitted.
    assert "topics" not in TARGETS
    assert not list((tmp_path / "work").glob("submissions/*/*"))


def test_a_task_is_registered_with_its_own_family():
    with pytest.raises(ConfigError, match="`topics` is of the family `topics`"):
        register(FAMILIES["pairs"], TASK)
    assert "topics" not in TASKS
