"""BUCC and Tatoeba in a study: which split is mined, fitted, scored, predicted."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from etils import epath
from readers import parallel

from xt_jax.config import Config, DataConfig, ModelConfig
from xt_jax.data.examples import MiningExample
from xt_jax.data.sources import open_source
from xt_jax.errors import DataError
from xt_jax.mini import formats as mini_formats
from xt_jax.model.sharding import make_mesh
from xt_jax.records import results
from xt_jax.retrieval.embed import tatoeba_layer
from xt_jax.retrieval.topk import cosine_topk
from xt_jax.study import build, runner, scoring
from xt_jax.study.datasets import Reader, ReadFile
from xt_jax.study.task_data import _is_wanted
from xt_jax.tasks.family import Evaluation
from xt_jax.tasks.table import FAMILIES, TASKS


@pytest.fixture
def data(world, tmp_path) -> Path:
    """The embedded world with another BUCC, of its parallel sentences, in XTREME's names."""
    root = Path(shutil.copytree(world, tmp_path / "data"))
    pairs = parallel(
        root / "tatoeba" / "tatoeba.deu-eng.eng", root / "tatoeba" / "tatoeba.deu-eng.deu"
    )
    shutil.rmtree(root / "bucc2018")
    (root / "bucc2018").mkdir()
    for split, some in (("dev", pairs[:100]), ("test", pairs[100:])):
        german = [
            MiningExample(f"de-{p.id}", p.translation, False, (f"en-{p.id}",)) for p in some[:80]
        ]
        english = [MiningExample(f"en-{p.id}", p.english, True, None) for p in some]
        stem = root / "bucc2018" / f"de-en.{split}"
        mini_formats.write_bucc(f"{stem}.en", f"{stem}.de", f"{stem}.gold", german + english)
    return root


@pytest.fixture
def config(data, mini_tokenizer_folder, one_device) -> Config:
    return Config(
        model=ModelConfig("tiny", str(mini_tokenizer_folder)),
        data=DataConfig(dir=str(data)),
        languages=("de",),
        targets=("bucc",),
        intermediates=("direct",),
    )


def rows_of(config, workdir) -> dict[str, float]:
    runner.run(config, str(workdir))
    rows = results.read_rows(workdir / "results.jsonl")
    assert len({row["split"] for row in rows}) == 1
    return {"split": rows[-1]["split"], **{row["metric"]: row["value"] for row in rows}}


def test_test_is_scored_with_the_threshold_of_dev(config, tmp_path):
    scores = rows_of(config, tmp_path / "work")
    assert set(scores) == {"split", "f1", "precision", "recall", "f1@oracle_threshold"}
    assert scores["split"] == "test"
    assert 0 < scores["f1"] <= scores["f1@oracle_threshold"]
    lines = (tmp_path / "work/submissions/tiny-direct-s0/bucc2018/test-de.tsv").read_text()
    assert all(len(line.split("\t")) == 2 for line in lines.splitlines())


def test_every_layer_is_mined_where_asked(config, tmp_path):
    """The layer that counts scores the same; a study without the others is completed."""
    alone = rows_of(config, tmp_path)
    config.retrieval.all_layers = True
    swept = rows_of(config, tmp_path)
    layers = 2
    assert {name: swept[name] for name in alone} == alone
    at = [swept[f"f1@layer={k}"] for k in range(layers + 1)]
    assert swept["f1"] == at[tatoeba_layer(layers)]
    assert len(set(at)) > 1
    assert set(swept) - set(alone) == {f"f1@layer={k}" for k in range(layers + 1)}
    rows = len(results.read_rows(tmp_path / "results.jsonl"))
    runner.run(config, str(tmp_path))
    assert len(results.read_rows(tmp_path / "results.jsonl")) == rows


def test_another_dev_is_another_result(config, data, tmp_path):
    before = rows_of(config, tmp_path / "work")
    gold = data / "bucc2018" / "de-en.dev.gold"
    gold.write_text("".join(gold.read_text().splitlines(keepends=True)[:2]))
    runner.run(config, str(tmp_path / "work"))
    rows = results.read_rows(tmp_path / "work" / "results.jsonl")
    assert len({row["data"] for row in rows}) == 2
    assert rows[-4]["value"] != before["f1"]


def test_an_unlabelled_test_is_mined_with_the_threshold_of_the_scored_dev(config, data, tmp_path):
    (data / "bucc2018" / "de-en.test.gold").unlink()
    scores = rows_of(config, tmp_path / "work")
    assert scores["split"] == "dev"
    assert scores["f1"] == scores["f1@oracle_threshold"]
    assert (tmp_path / "work/submissions/tiny-direct-s0/bucc2018/test-de.tsv").exists()
    assert not (tmp_path / "work" / "labels" / "bucc2018").exists()


def test_without_dev_no_threshold_can_be_fitted(config, data, tmp_path):
    for path in (data / "bucc2018").glob("de-en.dev.*"):
        path.unlink()
    with pytest.raises(DataError, match="bucc: no labelled dev data for de"):
        build.build_study(config, epath.Path(tmp_path / "work"))


def test_corpora_are_mined_whole(config, tmp_path):
    config.data.max_eval_examples = 10
    (scored,) = build.build_study(config, epath.Path(tmp_path / "work")).targets["bucc"].scored
    assert len(scored.examples) == 180


def test_some_of_the_translations_are_found_among_themselves(config, data, tmp_path):
    task = TASKS["tatoeba"]
    source = open_source("files", str(data))
    (found,) = source.find("tatoeba", "test", "de")
    reader = Reader(_no_tokenizer, "", source, epath.Path(tmp_path / "cache"))
    narrowed = reader.given(task, task.recipe, "test", ReadFile(found, found.read(()), True), 5)
    assert [e.match for e in narrowed.examples] == [0, 1, 2, 3, 4]
    assert not narrowed.official
    embeddings = np.repeat(np.eye(5, dtype=np.float32), 2, axis=0)[:, None, :]
    outputs = {"embedding": embeddings}
    evaluation = Evaluation(task, "de", narrowed.features, narrowed.examples, True, outputs)
    family = FAMILIES["retrieval"]
    found = family.results(family.decoded(evaluation), evaluation, None)
    assert found == ([0, 1, 2, 3, 4], {"accuracy": 100, "accuracy@layer=0": 100})


def test_neighbours_are_searched_on_all_devices(monkeypatch):
    searched = []

    def search(queries, corpus, k, *, mesh):
        searched.append(mesh.size)
        return cosine_topk(queries, corpus, k, mesh=mesh)

    monkeypatch.setattr(scoring, "cosine_topk", search)
    source = SimpleNamespace(config=SimpleNamespace(num_layers=2))
    embeddings = np.random.default_rng(0).normal(size=(2 * 50, 3, 16)).astype(np.float32)
    results = []
    for n in (1, 8):
        mesh = make_mesh(1, jax.devices()[:n])
        scorer = scoring.Scorer(TASKS["tatoeba"], None, source, mesh)
        dataset = SimpleNamespace(language="de", features=None, examples=[], labelled=False)
        evaluation = scorer._evaluation(dataset, {"embedding": embeddings}, range(3), 1)
        family = FAMILIES["retrieval"]
        results.append(family.results(family.decoded(evaluation), evaluation, None))
    assert searched == [1, 1, 1, 8, 8, 8]
    assert results[0] == results[1]


def _no_tokenizer(texts, others=None, **_):
    return {"input_ids": [[0, 2] for _ in texts]}


def test_sorted_translations_are_predicted_and_not_scored(config, data, tmp_path):
    pairs = parallel(
        data / "tatoeba" / "tatoeba.deu-eng.eng", data / "tatoeba" / "tatoeba.deu-eng.deu"
    )
    for path in (data / "tatoeba").iterdir():
        path.unlink()
    (data / "tatoeba" / "de-en.de").write_text("".join(f"{p.translation}\n" for p in pairs))
    english = sorted(p.english for p in pairs)
    (data / "tatoeba" / "de-en.en").write_text("".join(f"{text}\n" for text in english))
    config.targets = ("tatoeba",)
    runner.run(config, str(tmp_path / "work"))
    assert results.read_rows(tmp_path / "work" / "results.jsonl") == []
    lines = (tmp_path / "work/submissions/tiny-direct-s0/tatoeba/test-de.tsv").read_text()
    assert len(lines.splitlines()) == len(pairs)


def test_part_of_a_test_set_is_no_submission(config, tmp_path):
    config.targets, config.data.max_eval_examples = ("tatoeba",), 5
    runner.run(config, str(tmp_path / "work"))
    assert not list((tmp_path / "work").glob("submissions/*/*/*"))
    assert not (tmp_path / "work" / "labels").exists()


def test_a_pair_is_wanted_where_one_of_its_languages_is():
    wanted = [_is_wanted(pair, ("de",)) for pair in ("de-en", "en-de", "en-es")]
    assert wanted == [True, True, False]


def test_a_stand_in_is_no_submission(config, data, tmp_path):
    source = open_source("files", str(data))
    (split,) = source.find("tatoeba", "test", "de")
    substitute = dataclasses.replace(split, substitute=True)
    reader = Reader(_no_tokenizer, "", source, epath.Path(tmp_path / "cache"))
    task = TASKS["tatoeba"]
    for found in (substitute, split):
        file = ReadFile(found, split.read(()), True)
        given = reader.given(task, task.recipe, "test", file)
        assert (given.official, given.substitute) == (found is split, found is substitute)
