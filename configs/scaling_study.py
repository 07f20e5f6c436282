"""The study: how the gap to direct fine-tuning changes from MiniLM-L6 to XLM-R XXL.

    python run.py --config=configs/scaling_study.py --config.data.dir=DATA --workdir=runs/study

Start with `--dry_run`, which prints the jobs and their cost on a v5e-8, a v4-32 and one H200
(without --config.data.dir, for the official training sets), and with `--like` of a finished study
how wide the intervals of slopes would be: none here, as each family has two sizes. On several
machines use `--config.shard=1/16` to 16/16 as array jobs with one workdir, or
`--config.ray.address=auto` on a Ray cluster.

No learning rate is guessed: that of each intermediate and each target phase is the best of four on
the task's own English dev, by the same rule for every size (`learning_rates` in xt_jax/config.py).

Options after the colon: `sizes` joined by +, `tasks` (intermediate tasks, or multi-task mixtures
such as `mnli+squad`, joined by /), `seeds`, `source` of the data (files, tfds, hub). Not yet run,
for lack of the weights.
"""

from configs.multitask_to_xtreme import TASKS as MULTITASK
from xt_jax.config import Config, DataConfig, ModelConfig, RecipeOverrides, parse_arg
from xt_jax.tasks.table import DIRECT

SIZES = "minilm-l6+minilm-l12+base+large+xl+xxl"
TASKS = "mnli/anli_plus/qqp/squad/squad_v2/hellaswag/cosmos_qa/commonsense_qa/" + MULTITASK

# The candidates of every phase for every size, about half a decade apart, around jiant's 1e-5.
LEARNING_RATES = (3e-6, 1e-5, 3e-5, 1e-4)


def get_config(arg: str | None = None) -> Config:
    options = parse_arg(arg, sizes=SIZES, tasks=TASKS, seeds=5, source="files")
    sizes = tuple(options["sizes"].split("+"))
    return Config(
        model=ModelConfig(name=sizes[0]),
        models=sizes,
        data=DataConfig(source=options["source"]),
        intermediates=(DIRECT, *options["tasks"].split("/")),
        intermediate=RecipeOverrides(learning_rates=LEARNING_RATES),
        target=RecipeOverrides(learning_rates=LEARNING_RATES),
        seeds=options["seeds"],
    )
