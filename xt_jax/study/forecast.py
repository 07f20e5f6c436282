"""Forecasts what a study consists of and costs before any training: `run.py --dry_run`.

With data available every batch is planned and counted. Without data, the sizes of the official
training sets are used, so that a study can be estimated before any file is fetched.
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections import Counter
from collections.abc import Sequence

from etils import epath

from xt_jax import model as models
from xt_jax.config import Config, apply_overrides, of_model, swept_rates
from xt_jax.errors import ConfigError
from xt_jax.files import find
from xt_jax.model.config import EncoderConfig
from xt_jax.model.pretrained import architecture_of
from xt_jax.places import as_path, check_writable
from xt_jax.records.json_files import number_fault, read_objects
from xt_jax.records.progress import clock
from xt_jax.records.results import Results
from xt_jax.study.build import build_studies
from xt_jax.study.check import check, wanted_targets
from xt_jax.study.expected import expected_slopes
from xt_jax.study.jobs import Cost, Job, graph, planned, share, total_cost, trainings
from xt_jax.study.layers import check_layers
from xt_jax.tasks import recipes
from xt_jax.tasks.family import INTERMEDIATE
from xt_jax.tasks.table import DIRECT, TASKS, get, names
from xt_jax.train.throughput import PEAK_TFLOPS, train_flops

# The number of training examples (from the releases; where these were not at hand, unverified), and
# the mean tokens of an example with XLM-R's tokenizer, all choices and windows together, measured
# on up to 3,000 of them.
OFFICIAL = {
    "mnli": (392_702, 45),
    "snli": (549_367, 31),
    "anli_r1": (16_946, 101),
    "anli_r2": (45_460, 99),
    "anli_r3": (100_459, 95),
    "qqp": (363_846, 32),
    "squad": (87_599, 218),
    "squad_v2": (130_319, 218),
    "hellaswag": (39_905, 193),
    "cosmos_qa": (25_262, 470),
    "commonsense_qa": (9_741, 113),
    "ccg": (38_015, 25),
    "xnli": (392_702, 45),
    "pawsx": (49_401, 53),
    "udpos": (21_253, 25),
    "panx": (20_000, 14),
    "tydiqa": (3_696, 170),
}
_FILL = 0.95  # of packed rows
_MACHINES = {
    "v5e-8": ("TPU v5 lite", 8),
    "v4-32": ("TPU v4", 16),  # 32 cores are 16 chips
    "one H200": ("NVIDIA H200", 1),
}


def forecast(config: Config, workdir: str, mfu: float, like: str = "") -> str:
    """Returns the graph of jobs and a table of costs; trains nothing and needs no weights.

    Args:
        mfu: the assumed share of a chip's peak FLOP/s.
        like: the folder of a study whose deviations tell how wide intervals would be; "" for none.

    Raises:
        UserError: anything wrong with configuration or data.
    """
    check(config)
    if not 0 < mfu <= 1:
        raise ConfigError(f"mfu cannot be {mfu}.", where="--mfu", remedy="use a share up to 1")
    folder = as_path(workdir)
    check_writable(folder, "--workdir")
    has_data = config.data.source != "files" or bool(config.data.dir)
    jobs, costs, params = _counted(config, folder) if has_data else _official(config)
    note = (
        "counted from the data; patience may end a phase earlier"
        if has_data
        else "of official training sets, since --config.data.dir names none; scoring not counted"
    )
    parts = [_graph(config, jobs), f"Cost: {note}.\n", _table(jobs, costs, folder, mfu)]
    parts.append(_disk(config, jobs, params))
    if like:
        note, rows = expected_slopes(config, like)
        parts.append(f"{note}\n{_aligned(rows)}\n")
    return "\n".join(parts)


Counted = tuple[list[Job], list[Cost], dict[str, int]]  # parameters of each model


def _counted(config: Config, workdir: epath.Path) -> Counted:
    without_weights = dataclasses.replace(config.model, random_init=True)
    results = Results.open(workdir, config.shard, writes=False)
    config = dataclasses.replace(config, model=without_weights)
    studies = build_studies(config, workdir, results)
    params = {name: study.params[1] for name, study in studies.items()}
    return *planned(config, studies), params


def _official(config: Config) -> Counted:
    names = config.models or (config.model.name,)
    jobs = graph(
        config, dict.fromkeys(names, 1), config.intermediates, tuple(wanted_targets(config))
    )
    check_layers(config.retrieval, names)
    encoders = {name: architecture_of(name) for name in names}
    params = {
        name: models.count_params(models.abstract_encoder(encoder))[1]
        for name, encoder in encoders.items()
    }
    costs = [
        _official_cost(of_model(config, job.model), encoders[job.model], job).times(
            trainings(job, swept_rates(config), config.seed)
        )
        for job in jobs
    ]
    return *share(jobs, costs, config.shard), params


def _official_cost(config: Config, encoder: EncoderConfig, job: Job) -> Cost:
    if job.targets:
        trained = TASKS[job.targets[0]].train
        return _trained(trained, job.targets[0], config.target, encoder) if trained else Cost()
    tasks = [
        get(n, names(INTERMEDIATE), "--config.intermediates") for n in job.intermediate.split("+")
    ]
    costs = [_trained(task.train, task.name, config.intermediate, encoder) for task in tasks]
    total = total_cost(costs).times(len(config.data.intermediate_languages))
    if len(tasks) > 1 and config.mixture.steps:
        # The configured number of steps, at the average cost of the tasks' examples.
        examples = config.mixture.steps * recipes.MIXTURE.batch_size
        part = examples / max(1, total.examples)
        return Cost(examples, int(total.tokens * part), total.flops * part)
    return total


def _trained(names: Sequence[str], task: str, overrides, encoder: EncoderConfig) -> Cost:
    unknown = [name for name in names if name not in OFFICIAL]
    if unknown:
        raise ConfigError(
            f"The size of {', '.join(unknown)} is not known.",
            where="--config.data.dir",
            remedy="set it to the folder of the data, so that the examples can be counted",
        )
    recipe = apply_overrides(TASKS[task].recipe, overrides)
    examples = sum(OFFICIAL[name][0] for name in names)
    tokens = sum(OFFICIAL[name][0] * OFFICIAL[name][1] for name in names)
    passes = recipe.steps * recipe.batch_size / examples if recipe.steps else recipe.epochs
    slots = tokens * passes / _FILL
    rows = slots / recipe.max_length
    return Cost(
        round(examples * passes),
        round(slots),
        train_flops(encoder, 1, recipe.max_length) * rows,
    )


def _graph(config: Config, jobs: Sequence[Job]) -> str:
    """Describes in words which job waits for which, and how often the graph is repeated."""
    following = list(dict.fromkeys("+".join(p.targets) for p in jobs if p.targets))
    starts = dict.fromkeys(job.intermediate for job in jobs)
    lines = [f"{len(jobs)} jobs" + (f", part {config.shard}" if config.shard else "")]
    targets = ", ".join(following) or "(no target)"
    width = max(map(len, starts), default=0)  # a shard may have no job
    for name in starts:
        start = "the encoder" if name == DIRECT else f"train {name}"
        lines.append(f"  {start:<{max(width + 6, 11)}} -> {targets}")
    seeds = sorted({seed for job in jobs for seed in job.seeds})
    lines.append(f"for each of: {', '.join(_models(jobs))}; seeds {', '.join(map(str, seeds))}")
    lines.append("Each phase is trained once; XQuAD and MLQA score the same phase.")
    for phase, rates in swept_rates(config).items():
        if rates:
            lines.append(
                f"Each {phase} phase of seed {config.seed} is trained at the learning rates "
                f"{', '.join(f'{rate:g}' for rate in rates)}; the best on its English dev is that "
                "of all seeds."
            )
    lines.append("")
    return "\n".join(lines)


def _table(jobs: Sequence[Job], costs: Sequence[Cost], workdir: epath.Path, mfu: float) -> str:
    """Returns the table of costs: a row per model and one for the total."""
    rates = {  # FLOP/s
        name: PEAK_TFLOPS[kind] * 1e12 * chips * mfu for name, (kind, chips) in _MACHINES.items()
    }
    measured = _measured(workdir)
    if measured:
        rates["as measured here"] = measured
    groups = {model: [job.model == model for job in jobs] for model in _models(jobs)}
    groups["all"] = [True] * len(jobs)
    rows = [["model", "jobs", "examples", "tokens", "PFLOP", *rates]]
    for name, is_member in groups.items():
        cost = total_cost(list(itertools.compress(costs, is_member)))
        counts = [str(sum(is_member)), _short(cost.examples), _short(cost.tokens)]
        times = [clock(cost.flops / rate) for rate in rates.values()]
        rows.append([name, *counts, f"{cost.flops / 1e15:,.4g}", *times])
    chips = ", ".join(f"{name} has {n} chips" for name, (_, n) in _MACHINES.items() if n > 1)
    chip_hours = [
        f"{cost.flops / rates[name] * n / 3600:,.0f} on {name}"
        for name, (_, n) in _MACHINES.items()
    ]
    notes = [
        f"Time at {mfu:.0%} of the chips' bf16 peak (--mfu), all chips busy; {chips}. Whether a "
        "model fits a slice is not checked.",
        f"Chip-hours in total: {', '.join(chip_hours)}.",
    ]
    if measured:
        notes.append(f"Here: {measured / 1e12:.3g} TFLOP/s, the median of the logs in {workdir}.")
    return _aligned(rows) + "\n" + "\n".join(notes) + "\n"


def _models(jobs: Sequence[Job]) -> list[str]:
    return list(dict.fromkeys(job.model for job in jobs))


def _disk(config: Config, jobs: Sequence[Job], params: dict[str, int]) -> str:
    """Returns how much disk the best weights of all phases take, in float32."""
    phases = Counter[str]()
    for job in jobs:
        if not job.targets or TASKS[job.targets[0]].train:
            phases[job.model] += trainings(job, swept_rates(config), config.seed)
    sizes = {model: 4 * params[model] * count for model, count in phases.items()}
    by_model = ", ".join(f"{model} {_bytes(size)}" for model, size in sizes.items())
    of = f" ({by_model})" if len(sizes) > 1 else ""
    return (
        f"Disk: {_bytes(sum(sizes.values()))} for the best weights of {phases.total():,} phases"
        f"{of}, besides the states of phases in training.\n"
    )


def _bytes(size: float) -> str:
    return f"{size / 1e12:,.3g} TB" if size >= 1e12 else f"{size / 1e9:,.3g} GB"


def _measured(workdir: epath.Path) -> float | None:
    """Returns the median FLOP/s logged by phases trained in this workdir, if there are any."""
    rates = [
        entry["tflops"]
        for path in find(workdir, "phases/*/log.jsonl")
        for _, entry in read_objects(path, malformed=lambda error: None)
        if not number_fault("tflops", entry.get("tflops"), 1e-9, 1e9)
    ]
    return 1e12 * statistics.median(rates) if rates else None


def _short(number: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Returns the rows as lines, the first column aligned left and the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )
