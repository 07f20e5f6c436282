"""No intermediate task: the published encoder straight to every XTREME target. The baseline.

    python run.py --config=configs/direct_to_xtreme.py:size=base \\
        --config.data.dir=DATA --workdir=runs/base

Time as for configs/mnli_to_xtreme.py; with the same --workdir the table shows the difference.
Options as in configs/mnli_to_xtreme.py.
"""

from configs import mnli_to_xtreme
from xt_jax.config import Config
from xt_jax.tasks.table import DIRECT


def get_config(arg: str | None = None) -> Config:
    config = mnli_to_xtreme.get_config(arg)
    config.intermediates = (DIRECT,)
    return config
