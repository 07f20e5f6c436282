"""MNLI with multilingual masked language modelling mixed in, then every XTREME target.

    python run.py --config=configs/mnli_mlm_to_xtreme.py:size=base \\
        --config.data.dir=DATA --workdir=runs/base

Needs plain text besides the tasks: DATA/mlm/<language>.txt, one passage per line. A fifth of the
steps are MLM steps (--config.mixture.mlm_ratio), in addition to MNLI's own; languages are drawn in
proportion to lines ** 0.3 (--config.mixture.mlm_exponent), all or --config.mixture.mlm_languages.
The learning rate, half of the usual one, is recalled from the paper and not checked against it.
Options after the colon: `task` and `size` as in configs/intermediate_to_xtreme.py.
"""

from configs import intermediate_to_xtreme, mnli_to_xtreme
from xt_jax.config import Config, parse_arg


def get_config(arg: str | None = None) -> Config:
    options = parse_arg(arg, task="mnli", size="base")
    config = intermediate_to_xtreme.get_config(f"task={options['task']}+mlm,size={options['size']}")
    if options["size"] not in mnli_to_xtreme.SMALL_SIZES:
        config.intermediate.learning_rate = 5e-6
    return config
