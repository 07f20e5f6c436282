"""The baseline without an intermediate task: fine-tunes the encoder directly on every target.

    python run.py --config=configs/direct_to_xtreme.py:size=base \\
        --config.data.dir=DATA --workdir=runs/base

Cost and options are those of configs/mnli_to_xtreme.py; with the same --workdir the table shows the
difference.
"""

from configs import mnli_to_xtreme
from xt_jax.config import Config
from xt_jax.tasks.table import DIRECT


def get_config(arg: str | None = None) -> Config:
    config = mnli_to_xtreme.get_config(arg)
    config.intermediates = (DIRECT,)
    return config
