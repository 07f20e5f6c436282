"""The ladder of mini encoders: presets `mini-24` to `mini-256`, pretrained on the embedded world.

Those that come with the package lie in `encoders/<name>/` with a model card each; they share
`encoders/tokenizer/`.
"""

from __future__ import annotations

from etils import epath

from xt_jax.errors import ConfigError
from xt_jax.mini.tokenizer import ENCODERS
from xt_jax.model.presets import PRESETS

NAMES = tuple(preset.name for preset in PRESETS.values() if preset.mini)


def weights_folder(name: str) -> epath.Path:
    """The Hugging Face folder of a mini encoder's weights, which has no tokenizer of its own.

    Raises:
        ConfigError: a size whose weights are not here.
    """
    folder = ENCODERS / name
    if not (folder / "config.json").exists():
        raise ConfigError(
            f"The weights of {name} do not come with the package.",
            where=f"--config.model.name={name}",
            remedy=f"make them: python run.py --config=configs/pretrain_mini.py:size={name} "
            f"--workdir=runs/{name} && python -m xt_jax.ladder.ship runs/{name}/phases/mlm-s0-* "
            f"--name={name}; or train random ones: --config.model.random_init=true",
        )
    return folder
