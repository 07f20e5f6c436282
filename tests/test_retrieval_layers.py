"""Which layer retrieval compares: as numpy chooses it, the same after a kill, in rows of its own.

Tolerance of embeddings, fixed: 1e-5 absolute.
"""

from __future__ import annotations

import shutil
import weakref
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from etils import epath
from readers import parallel

from xt_jax.config import Config, DataConfig, ModelConfig, RetrievalConfig
from xt_jax.data.examples import MiningExample
from xt_jax.errors import ConfigError
from xt_jax.mini import formats as mini_formats
from xt_jax.model import predict
from xt_jax.records import example_scores, results
from xt_jax.report.statistics.scores import as_frame, one_setting
from xt_jax.retrieval.encode import ALL_LAYERS, SentenceEncoder
from xt_jax.study import build, job, layers, runner
from xt_jax.study.check import check
from xt_jax.tasks import retrieval

TOLERANCE = 1e-5
LANGUAGES = ("de", "hi", "zh")


@pytest.fixture
def config(world, one_device) -> Config:
    return Config(
        model=ModelConfig("mini-48"),
        data=DataConfig(dir=str(world), max_eval_examples=60),
        retrieval=RetrievalConfig(layer="dev"),
        languages=LANGUAGES,
        targets=("tatoeba",),
        intermediates=("direct",),
        submission=False,
    )


def rows_of(config: Config, workdir: Path) -> list[results.Row]:
    check(config)
    runner.run(config, str(workdir))
    return results.read_rows(workdir / "results.jsonl")


def by_layer(rows: list[results.Row], metric: str) -> dict[str, list[float]]:
    """The metric at every layer by language, from the rows by layer."""
    found: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["metric"] == f"{metric}@layer={len(found[row['language']])}":
            found[row["language"]].append(row["value"])
    return found


def headlines(rows: list[results.Row], metric: str) -> dict[str, results.Row]:
    return {row["language"]: row for row in rows if row["metric"] == metric}


def test_the_best_layer_by_numpy():
    rng = np.random.default_rng(0)
    chosen = set()
    for _ in range(300):
        scores = rng.integers(0, 4, (rng.integers(1, 5), rng.integers(2, 8))) * 25.0
        wanted = int(np.argmax(scores.sum(axis=0)))  # the first of equals; whole sums are exact
        chosen.add(wanted)
        assert layers.best_layer([dict(enumerate(row)) for row in scores.tolist()]) == wanted
    assert len(chosen) > 5


def test_other_languages_choose_the_layer_of_each(config, tmp_path):
    rows = rows_of(config, tmp_path)
    at = by_layer(rows, "accuracy")
    assert set(at) == set(LANGUAGES)
    for language, row in headlines(rows, "accuracy").items():
        others = [at[other] for other in LANGUAGES if other != language]
        assert row["layer"] == int(np.mean(others, axis=0).argmax())
        assert row["value"] == at[language][row["layer"]]
        assert row["layer_chosen"] == "dev"
    assert {row["layer"] for row in rows} != {1}  # the published one


def test_the_choice_is_the_same_after_a_kill(config, tmp_path, monkeypatch):
    whole = rows_of(config, tmp_path / "whole")
    write, written = job.TargetRecord.write, []

    def killed(self, scored, recorded):
        if written:
            raise KeyboardInterrupt
        written.append(scored)
        write(self, scored, recorded)

    with monkeypatch.context() as patched:
        patched.setattr(job.TargetRecord, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            rows_of(config, tmp_path / "killed")
    assert len(results.read_rows(tmp_path / "killed" / "results.jsonl")) == len(whole) / 3
    resumed = rows_of(config, tmp_path / "killed")
    assert sorted(resumed, key=str) == sorted(whole, key=str)


def test_settings_in_one_workdir_keep_apart(config, tmp_path):
    """Each setting adds its rows once, and a report shows those of one alone."""
    settings = [("published", "mean"), ("dev", "mean"), ("0", "mean"), ("0", "first")]
    count, runs = 0, []
    for layer, pooling in settings:
        config.retrieval = RetrievalConfig(layer, pooling)
        rows = rows_of(config, tmp_path)
        new = rows[count:]
        assert len(new) == len(LANGUAGES) * (1 + 3)  # the headline and three layers
        assert rows_of(config, tmp_path) == rows
        (run,) = {row["run"] for row in new}
        assert run not in runs
        assert {row["layer_chosen"] for row in new} == {layer if layer != "0" else "fixed"}
        assert len({row.get("recipe") for row in rows}) == len({row["run"] for row in rows})
        folder = epath.Path(tmp_path)
        assert all(example_scores.exists(folder, run, row["data"]) for row in new)
        count, runs = len(rows), [*runs, run]
    assert len(list(tmp_path.glob("phases/*/predictions/tatoeba/*"))) == len(settings) * 3
    config.languages = ("de",)
    config.retrieval = RetrievalConfig("2")
    shown, left_out = one_setting(as_frame(rows_of(config, tmp_path)))
    assert set(shown["language"]) == {"de"}
    assert set(shown["layer"]) == {2}
    assert left_out.sum() == count


def test_other_deciding_languages_are_another_setting(config, tmp_path):
    before = rows_of(config, tmp_path)
    config.languages = LANGUAGES[:2]
    after = rows_of(config, tmp_path)[len(before) :]
    assert len({row["run"] for row in [*before, *after]}) == 2
    assert {row["language"] for row in after} == set(LANGUAGES[:2])


@pytest.mark.parametrize("pooling", ["mean_no_special", "first", "mean"])
def test_poolings_are_those_of_the_sentence_encoder(config, tmp_path, pooling, monkeypatch):
    seen = []
    nearest = retrieval.nearest_foreign
    monkeypatch.setattr(
        retrieval, "nearest_foreign", lambda x, search: seen.append(x) or nearest(x, search)
    )
    config.retrieval = RetrievalConfig("1", pooling)
    config.languages = ("de",)
    rows_of(config, tmp_path)
    (scored,) = build.build_study(config, epath.Path(tmp_path)).targets["tatoeba"].scored
    texts = [text for e in scored.examples for text in (e.english, e.translation)]
    encoder = SentenceEncoder.load("mini-48", layer=ALL_LAYERS, pooling=pooling)
    (embeddings,) = seen
    np.testing.assert_allclose(embeddings, encoder.encode(texts), rtol=0, atol=TOLERANCE)


@pytest.fixture
def mining(config, world, tmp_path) -> Config:
    """Two languages of BUCC with dev and test, of the embedded world's parallel sentences."""
    root = Path(shutil.copytree(world, tmp_path / "data"))
    shutil.rmtree(root / "bucc2018")
    (root / "bucc2018").mkdir()
    for language, code in (("de", "deu"), ("zh", "cmn")):
        sides = [root / "tatoeba" / f"tatoeba.{code}-eng.{side}" for side in ("eng", code)]
        pairs = parallel(*sides)
        for split, some in (("dev", pairs[:100]), ("test", pairs[100:])):
            foreign = [
                MiningExample(f"{language}-{p.id}", p.translation, False, (f"en-{p.id}",))
                for p in some[:80]
            ]
            english = [MiningExample(f"en-{p.id}", p.english, True, None) for p in some]
            stem = root / "bucc2018" / f"{language}-en.{split}"
            mini_formats.write_bucc(
                f"{stem}.en", f"{stem}.{language}", f"{stem}.gold", foreign + english
            )
    config.data, config.targets = DataConfig(dir=str(root)), ("bucc",)
    config.languages = ("de", "zh")
    return config


def test_dev_chooses_the_layer_of_mining(mining, tmp_path):
    test = rows_of(mining, tmp_path / "test")
    mining.data.eval_split = "dev"
    dev = rows_of(mining, tmp_path / "dev")
    on_dev = by_layer(dev, "f1")
    for language, row in headlines(test, "f1").items():
        assert row["layer"] == int(np.argmax(on_dev[language]))
        assert row["value"] == by_layer(test, "f1")[language][row["layer"]]
    other = {"de": "zh", "zh": "de"}
    for language, row in headlines(dev, "f1").items():  # its own pairs are scored
        assert row["layer"] == int(np.argmax(on_dev[other[language]]))
        assert row["value"] == on_dev[language][row["layer"]]


def test_the_only_language_scored_on_dev_is_named(mining, tmp_path, caplog):
    mining.data.eval_split, mining.languages = "dev", ("zh",)
    with caplog.at_level("WARNING"):
        rows = rows_of(mining, tmp_path / "work")
    assert "bucc, zh: without another language the layer is chosen on the split" in caplog.text
    assert headlines(rows, "f1")["zh"]["layer"] == int(np.argmax(by_layer(rows, "f1")["zh"]))


def test_few_embeddings_are_held_at_a_time(mining, tmp_path, monkeypatch):
    """The bound holds whatever the number of layers, and the scores are those of a single pass."""
    live, peak = [0], [0]
    room = predict._Gathered._room

    def watched(self, name, size, like):
        is_new = name not in self.outputs
        array = room(self, name, size, like)
        if is_new:
            live[0] += array.nbytes
            peak[0] = max(peak[0], live[0])
            weakref.finalize(array, lambda n: live.__setitem__(0, live[0] - n), array.nbytes)
        return array

    monkeypatch.setattr(predict._Gathered, "_room", watched)
    once = rows_of(mining, tmp_path / "once")
    layer = 4 * 48 * 180  # bytes of a split's embeddings
    assert peak[0] >= 3 * layer
    for held, most in ((0, layer), (2 * layer, 2 * layer)):
        live[0], peak[0] = 0, 0
        monkeypatch.setattr(layers, "HELD", held)
        assert rows_of(mining, tmp_path / f"{held}") == once
        assert layer <= peak[0] <= most


def test_a_hidden_state_that_a_model_lacks_is_refused_at_once(config, tmp_path):
    config.models, config.model.name = ("mini-48", "mini-96"), "mini-48"
    config.retrieval.layer = "3"
    with pytest.raises(ConfigError, match=r"There is no hidden state 3 in mini-48 \(2\)\."):
        build.build_studies(config, epath.Path(tmp_path), results.Results.open(tmp_path))


def test_one_language_cannot_choose_its_own_layer(config, tmp_path):
    config.languages = ("de",)
    with pytest.raises(ConfigError, match="tatoeba has no other labelled language than de"):
        build.build_study(config, epath.Path(tmp_path))


@pytest.mark.parametrize("layer", ["", "Dev", "-1", "1.0", "01", "10000", "\u0663"])
def test_no_layer(config, layer):
    config.retrieval.layer = layer
    with pytest.raises(ConfigError, match=r"retrieval\.layer cannot be"):
        check(config)


def test_layers_in_parts():
    sets = [np.empty((n, 0)) for n in (5, 9)]
    layers_of = range(3, 10)
    assert layers.parts(layers_of, sets, 10**9) == [range(k, k + 1) for k in layers_of]
    assert layers.parts(layers_of, sets, 1) == [layers_of]
    third = layers.HELD // (4 * 9 * 3)
    assert layers.parts(layers_of, sets, third) == [range(3, 6), range(6, 9), range(9, 10)]
