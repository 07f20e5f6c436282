"""MNLI first, then every XTREME target, zero-shot in all languages.

    python run.py --config=configs/mnli_to_xtreme.py:size=base \\
        --config.data.dir=DATA --workdir=runs/base

Tested with size=tiny (random weights, so near chance) on 3,000 to 6,000 rows of each task: 4
minutes on 2 CPU cores. Not yet run with published weights and the full data.

Options after the colon: `size`, any preset (minilm-l6, minilm-l12, base, large, xl, xxl, mbert;
mini-24 to mini-192, pretrained on the embedded world; tiny and small have random weights and need
--config.model.tokenizer). Run configs/direct_to_xtreme.py with the same --workdir for the baseline:
the table then shows the gap.
"""

from xt_jax.config import Config, ModelConfig, RecipeOverrides, parse_arg
from xt_jax.model.presets import MINI

SMALL_SIZES = ("tiny", "small", *MINI)


def get_config(arg: str | None = None) -> Config:
    options = parse_arg(arg, size="base")
    config = Config(model=ModelConfig(name=options["size"]), intermediates=("mnli",))
    if options["size"] in SMALL_SIZES:
        # Small models and randomly initialised ones need a higher rate than published weights.
        config.intermediate = RecipeOverrides(learning_rate=1e-3, eval_every=200)
        config.target = RecipeOverrides(learning_rate=1e-3, eval_every=200)
    return config
