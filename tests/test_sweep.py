"""Learning rates by rule: the best of several on the task's own English dev, for every seed."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import pytest
from commands import Run, finish
from etils import epath

from xt_jax.errors import ConfigError, DivergedError
from xt_jax.study import sweep
from xt_jax.study.phases import Checkpoint, Member
from xt_jax.study.task_data import Phase, TaskData
from xt_jax.tasks.recipes import Recipe
from xt_jax.tasks.table import TASKS

RATES = {"mnli": (1e-5, 1e-3, 1e-2), "xnli": (1e-4, 3e-3)}
SEEDS = (4, 5)

PAGE = """
from xt_jax.config import *


def get_config():
    recipe = {"epochs": 1, "max_length": 96, "eval_every": 4}
    return Config(
        model=ModelConfig(name="mini-24"),
        data=DataConfig(source="mini", max_train_examples=192, max_eval_examples=30),
        train=TrainConfig(save_every_steps=2, log_every=2, tensorboard=False),
        intermediates=("direct", "mnli"),
        targets=("xnli", "tatoeba"),
        languages=("en", "de"),
        intermediate=RecipeOverrides(learning_rates=RATES["mnli"], **recipe),
        target=RecipeOverrides(learning_rates=RATES["xnli"], **recipe),
        seed=SEEDS[0],
        seeds=len(SEEDS),
        submission=False,
    )
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> str:
    """The option that names the configuration page of the study."""
    page = tmp_path_factory.mktemp("page") / "swept.py"
    page.write_text(f"RATES = {RATES}\nSEEDS = {SEEDS}\n{PAGE}")
    return f"--config={page}"


@pytest.fixture(scope="module")
def whole(study, tmp_path_factory) -> Path:
    """The workdir of the study, run undisturbed."""
    workdir = tmp_path_factory.mktemp("whole")
    output = finish(study, f"--workdir={workdir}")
    (workdir / "output.txt").write_text(output)
    return workdir


def rows_of(workdir: Path) -> list[dict]:
    files = sorted(workdir.glob("results*.jsonl"))
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def phases_of(workdir: Path) -> dict[str, Path]:
    """Returns the folders of all phases that were begun."""
    return {path.parent.name: path.parent for path in workdir.glob("phases/*/log.jsonl")}


def tried(workdir: Path, start: str) -> dict[float, tuple[float, Path]]:
    """Returns by learning rate the (dev score, folder) of the phases of that name."""
    found = {}
    for name, folder in phases_of(workdir).items():
        if name.rpartition("-")[0] == start:
            rate = json.loads((folder / "phase.json").read_text())["recipe"]["learning_rate"]
            found[rate] = json.loads((folder / "done.json").read_text())["best"], folder
    return found


def best(candidates: dict[float, tuple[float, Path]]) -> float:
    top = max(score for score, _ in candidates.values())
    return min(rate for rate, (score, _) in candidates.items() if score == top)


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["mnli", "xnli", "xnli-after-mnli"])
def test_the_rate_is_the_best_of_the_first_seed_on_english_dev(whole, phase):
    first, second = (tried(whole, f"{phase}-s{seed}") for seed in SEEDS)
    assert tuple(sorted(first)) == RATES[phase.partition("-")[0]]
    assert len({score for score, _ in first.values()}) > 1
    chosen = best(first)
    assert list(second) == [chosen]
    records = [folder / "rates.json" for _, folder in (*first.values(), *second.values())]
    assert [path for path in records if path.exists()] == [first[chosen][1] / "rates.json"]
    record = json.loads((first[chosen][1] / "rates.json").read_text())
    assert (record["chosen"], record["seed"]) == (chosen, SEEDS[0])
    listed = {c["learning_rate"]: (c["score"], c["folder"]) for c in record["candidates"]}
    assert listed == {rate: (score, folder.name) for rate, (score, folder) in first.items()}


@pytest.mark.slow
def test_targets_start_from_the_chosen_phase_and_arms_share_a_recipe(whole):
    chosen = {seed: tried(whole, f"mnli-s{seed}") for seed in SEEDS}
    rate = best(chosen[SEEDS[0]])
    rows = rows_of(whole)
    for row in rows:
        if row["intermediate"] == "mnli":
            assert row["intermediate_rate"] == rate
            assert row["intermediate_score"] == chosen[row["seed"]][rate][0]
        if row["target"] == "xnli":
            after = "-after-mnli" if row["intermediate"] == "mnli" else ""
            assert row["learning_rate"] == best(tried(whole, f"xnli{after}-s{SEEDS[0]}"))
    recipes = {(row["target"], row.get("recipe")) for row in rows}
    assert len(recipes) == 2  # one for each target, whatever rate was chosen; none of retrieval
    runs = {row["run"] for row in rows if row["target"] == "tatoeba"}
    folders = [folder.name for of_seed in chosen.values() for _, folder in of_seed.values()]
    starts = {name.rpartition("-")[2] for name in folders if name.rpartition("-")[2] in runs}
    assert starts == {chosen[seed][rate][1].name.rpartition("-")[2] for seed in SEEDS}


@pytest.mark.slow
def test_a_kill_in_the_middle_of_a_sweep_changes_nothing(study, whole, tmp_path):
    run = Run(study, f"--workdir={tmp_path}")
    while not (
        sum(name.startswith("mnli-s") for name in finished(tmp_path)) == 2
        and phases_of(tmp_path).keys() - finished(tmp_path)
    ):
        assert run.process.is_alive(), run.output[-3000:]
        time.sleep(0.005)
    run.process.kill()
    run.end()
    before = finished(tmp_path)
    (killed,) = phases_of(tmp_path).keys() - before  # the third of three candidates
    assert killed.startswith("mnli-s")
    finish(study, f"--workdir={tmp_path}")
    assert rows_of(tmp_path) == rows_of(whole)
    assert phases_of(tmp_path).keys() == phases_of(whole).keys()
    assert before.items() <= finished(tmp_path).items()
    for name in phases_of(whole).keys() - {killed}:  # whose last steps may be logged twice
        assert trained(tmp_path, name) == trained(whole, name)


def finished(workdir: Path) -> dict[str, int]:
    """Returns when each finished phase was finished."""
    return {
        path.parent.name: path.stat().st_mtime_ns for path in workdir.glob("phases/*/done.json")
    }


def trained(workdir: Path, name: str) -> list[int]:
    """Returns the steps in a phase's log, in the order in which they were made."""
    lines = (workdir / "phases" / name / "log.jsonl").read_text().splitlines()
    return [line["step"] for line in map(json.loads, lines) if "loss" in line]


@pytest.mark.slow
def test_shards_have_the_rows_of_the_whole_and_train_nothing_twice(study, whole, tmp_path):
    for i in (1, 2):
        finish(study, f"--config.shard={i}/2", f"--workdir={tmp_path}")
    assert rows_of(tmp_path) == rows_of(whole)
    assert phases_of(tmp_path).keys() == phases_of(whole).keys()
    for name in phases_of(whole):
        assert trained(tmp_path, name) == trained(whole, name)


@pytest.mark.slow
def test_a_sweep_takes_over_what_was_trained_at_one_rate(study, whole, tmp_path):
    alone = f"--config.target.learning_rates={best(tried(whole, f'xnli-s{SEEDS[0]}'))}"
    finish(study, alone, "--config.intermediates=direct", f"--workdir={tmp_path}")
    before = phases_of(tmp_path).keys()
    assert len(before) == len(SEEDS)
    for _ in range(2):
        finish(study, "--config.intermediates=direct", f"--workdir={tmp_path}")
        expected, rows = (of_direct(folder, "xnli") for folder in (whole, tmp_path))
        recipes = dict.fromkeys(row["recipe"] for row in rows)
        fixed, chosen = ([row for row in rows if row["recipe"] == each] for each in recipes)
        assert chosen == expected  # the report takes the last
        assert [{**row, "recipe": ""} for row in fixed] == [{**row, "recipe": ""} for row in chosen]
    swept = phases_of(tmp_path).keys()
    assert before < swept
    assert swept == {name for name in phases_of(whole) if name.startswith("xnli-s")}
    assert all(trained(tmp_path, name) == trained(whole, name) for name in swept)


def of_direct(workdir: Path, target: str) -> list[dict]:
    """Returns the rows of the target after no intermediate task, in the order of the file."""
    lines = (workdir / "results.jsonl").read_text().splitlines()
    rows = list(map(json.loads, lines))
    return [r for r in rows if (r["intermediate"], r["target"]) == ("direct", target)]


class FakeTrainer:
    """Knows the score of each learning rate; counts what it trains."""

    def __init__(self, folder: Path, scores: dict[float, float]):
        self.rates = {"target": tuple(sorted(scores)) if len(scores) > 1 else ()}
        self.first_seed, self.scores, self.folder = 7, scores, folder
        self.asked: list[tuple[float, int]] = []

    def member(self, phase: Phase, start: Checkpoint, seed: int, after: str) -> Member:
        folder = epath.Path(self.folder / f"{phase.recipe.learning_rate}")
        return Member(seed, seed, start, "", folder)

    def states(self, group: list[Member]) -> epath.Path:
        return group[0].directory / "checkpoints"

    def home(self, checkpoint: Checkpoint) -> epath.Path:
        assert checkpoint.folder is not None
        return checkpoint.folder

    def train(self, phase, starts, after, seeds) -> list[Checkpoint]:
        rate = phase.recipe.learning_rate
        assert [part.recipe.learning_rate for part in phase.parts] == [rate]
        self.asked.append((rate, *seeds))
        folder = epath.Path(self.folder / f"{rate}")
        folder.mkdir(parents=True, exist_ok=True)
        if self.scores[rate] != self.scores[rate]:
            raise DivergedError("The loss is nan at step 4.")
        return [Checkpoint("", folder, 1, "accuracy on English dev", self.scores[rate], rate)]


def choice(trainer: FakeTrainer, monkeypatch) -> Phase:
    monkeypatch.setattr(sweep, "train_phase", lambda trainer, *args: trainer.train(*args))
    data = TaskData(TASKS["xnli"], Recipe(learning_rate=5.0), None, None)
    phase = Phase("xnli", (data,), data.recipe, "target")
    return sweep.at_best_rate(trainer, phase, lambda: Checkpoint("start"), "after-mnli")


@pytest.mark.parametrize(
    ("scores", "best", "warned"),
    [
        ({1.0: 50.0, 2.0: 60.0, 3.0: 55.0}, 2.0, False),
        ({1.0: 50.0, 2.0: 60.0, 3.0: 60.0}, 2.0, False),
        ({3.0: 60.0, 2.0: 60.0, 1.0: 60.0}, 1.0, True),
        ({1.0: 50.0, 2.0: 55.0, 3.0: 60.0}, 3.0, True),
        ({1.0: 0.0, 2.0: -1.5, 3.0: -3.0}, 1.0, True),
        ({1.0: 50.0, 2.0: 55.0, 3.0: float("nan")}, 2.0, False),
    ],
)
def test_equal_scores_give_the_lowest_rate_and_an_end_of_the_sweep_is_warned_of(
    scores, best, warned, tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.INFO, "absl")
    trainer = FakeTrainer(tmp_path, scores)
    phase = choice(trainer, monkeypatch)
    assert phase.recipe.learning_rate == phase.parts[0].recipe.learning_rate == best
    assert trainer.asked == [(rate, 7) for rate in sorted(scores)]
    assert f"learning rate {best:g}: by accuracy on English dev, 1 gives" in caplog.text
    assert ("at the end of the sweep" in caplog.text) == warned
    caplog.clear()
    assert choice(trainer, monkeypatch) == phase
    assert "learning rate" not in caplog.text  # said once


def test_a_rate_at_which_the_loss_is_not_finite_is_tried_once(tmp_path, monkeypatch, caplog):
    trainer = FakeTrainer(tmp_path, {1.0: 50.0, 2.0: float("nan")})
    for _ in range(2):
        assert choice(trainer, monkeypatch).recipe.learning_rate == 1.0
    assert trainer.asked == [(1.0, 7), (2.0, 7), (1.0, 7)]
    assert "takes no part in the sweep: The loss is nan" in caplog.text
    record = json.loads((tmp_path / "1.0" / "rates.json").read_text())
    assert record["candidates"][1] == {"learning_rate": 2.0, "score": None, "folder": None}


def test_where_no_rate_has_a_finite_loss_the_field_is_named(tmp_path, monkeypatch):
    trainer = FakeTrainer(tmp_path, {1.0: float("nan"), 2.0: float("nan")})
    with pytest.raises(ConfigError, match=r"not finite at any of the learning rates 1\.0, 2\.0"):
        choice(trainer, monkeypatch)


def test_without_a_sweep_nothing_is_tried(tmp_path, monkeypatch):
    trainer = FakeTrainer(tmp_path, {1.0: 50.0})
    assert choice(trainer, monkeypatch).recipe.learning_rate == 5.0
    assert not trainer.asked
