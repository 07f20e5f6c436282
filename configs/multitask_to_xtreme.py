"""Multi-task training on all intermediate tasks, then every XTREME target, zero-shot.

    python run.py --config=configs/multitask_to_xtreme.py:size=base \\
        --config.data.dir=DATA --workdir=runs/base

Each step trains one task with its own batch size and length; a task's share of the steps is in
proportion to min(examples, 2^17), or as --config.mixture.sampler says. ANLI+ includes MNLI, which
is therefore not listed itself; CCGbank needs a licence and is left out by default. Options after
the colon: `size` as in configs/mnli_to_xtreme.py, and `tasks`, joined by +. To share one head among
tasks with the same labels: --config.mixture.shared_heads=true.
"""

from configs import intermediate_to_xtreme
from xt_jax.config import Config, parse_arg

TASKS = "anli_plus+qqp+squad+squad_v2+hellaswag+cosmos_qa+commonsense_qa"


def get_config(arg: str | None = None) -> Config:
    options = parse_arg(arg, tasks=TASKS, size="base")
    return intermediate_to_xtreme.get_config(f"task={options['tasks']},size={options['size']}")
