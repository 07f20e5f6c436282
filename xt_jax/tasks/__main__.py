"""Prints every task with its recipe: `python -m xt_jax.tasks`."""

from __future__ import annotations

from xt_jax import command
from xt_jax.tasks.benchmarks import XTREME
from xt_jax.tasks.family import Task
from xt_jax.tasks.recipes import OURS, SOURCES
from xt_jax.tasks.table import TASKS

_HEADER = (
    "task", "role", "kind", "metric", "languages", "learning rate", "epochs", "batch",
    "max. length", "source of batch and epochs",
)  # fmt: skip


def table() -> str:
    """Returns a Markdown table with a row for each task."""
    rows = [_HEADER, ("---",) * len(_HEADER), *map(_row, TASKS.values())]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(task: Task) -> tuple[str, ...]:
    recipe = task.recipe
    trained = (f"{recipe.learning_rate:g}", f"{recipe.epochs:g}", str(recipe.batch_size))
    return (
        task.name,
        f"{XTREME.name} {task.role}" if task.name in XTREME.tasks else task.role,
        task.family.replace("_", " "),
        task.metrics[0].replace("_", " "),
        str(len(task.languages)) if task.languages else "any",
        *(trained if task.train else ("none",) * 3),
        str(recipe.max_length),
        SOURCES.get(task.name, OURS),
    )


if __name__ == "__main__":
    command.run(lambda: print(table(), end=""))
