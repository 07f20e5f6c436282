"""Any intermediate task, or multi-task training, then every XTREME target, zero-shot.

    python run.py --config=configs/intermediate_to_xtreme.py:task=hellaswag,size=base \\
        --config.data.dir=DATA --workdir=runs/base

Options after the colon: `task`, one of mnli, snli, anli_r1, anli_r2, anli_r3, anli_plus, qqp,
squad, squad_v2, hellaswag, cosmos_qa, commonsense_qa, ccg, mlm, direct, or several joined by +
(--config.mixture sets how they are mixed); `size` as in configs/mnli_to_xtreme.py. Runs with the
same --workdir share one table, so a loop over tasks gives the comparison of the paper:

    for task in direct anli_plus mnli qqp squad squad_v2 hellaswag ccg cosmos_qa commonsense_qa; do
      python run.py --config=configs/intermediate_to_xtreme.py:task=$task ... --workdir=runs/base
    done
"""

from configs import mnli_to_xtreme
from xt_jax.config import Config, parse_arg


def get_config(arg: str | None = None) -> Config:
    options = parse_arg(arg, task="mnli", size="base")
    config = mnli_to_xtreme.get_config(f"size={options['size']}")
    config.intermediates = (options["task"],)
    return config
