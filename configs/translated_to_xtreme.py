"""MNLI in English and machine-translated, then every XTREME target.

    python run.py --config=configs/translated_to_xtreme.py:languages=de+ru+sw,size=base \\
        --config.data.dir=DATA --workdir=runs/base

Translated training data is found in the layout of XTREME's translate-train release
(DATA/xtreme_translations/XNLI/translate-train/en-de-translated.tsv), or as
DATA/translated/<language>/<the English file's folder and name>. The checkpoint is still selected on
English dev. Options after the colon: `languages` joined by + (list `en` too to keep English);
`task` and `size` as in configs/intermediate_to_xtreme.py.
"""

from configs import intermediate_to_xtreme
from xt_jax.config import Config, parse_arg


def get_config(arg: str | None = None) -> Config:
    options = parse_arg(arg, task="mnli", languages="en+de+ru+sw", size="base")
    config = intermediate_to_xtreme.get_config(f"task={options['task']},size={options['size']}")
    config.data.intermediate_languages = tuple(options["languages"].split("+"))
    return config
