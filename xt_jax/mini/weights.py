"""Finds the pretrained mini encoders that come with the package, and their shared tokenizer.

`encoders/<name>/` holds one size (`mini-24` to `mini-256`) with its model card, and
`encoders/tokenizer/` the tokenizer of all sizes.
"""

from __future__ import annotations

from etils import epath

from xt_jax.errors import ConfigError

ENCODERS = epath.Path(__file__).parent / "encoders"


def weights_folder(name: str) -> epath.Path:
    """Returns the Hugging Face folder of a mini encoder's weights, which holds no tokenizer.

    Raises:
        ConfigError: a size whose weights do not come with the package.
    """
    folder = ENCODERS / name
    if not (folder / "config.json").exists():
        raise ConfigError(
            f"The weights of {name} do not come with the package.",
            where=f"--config.model.name={name}",
            remedy=f"train them: python run.py --config=configs/pretrain_mini.py:size={name} "
            f"--workdir=runs/{name} && python -m xt_jax.ladder.ship runs/{name}/phases/mlm-s0-* "
            f"--name={name}; or start from random ones: --config.model.random_init=true",
        )
    return folder


def tokenizer_folder() -> epath.Path:
    """Returns the folder of the tokenizer that comes with the package.

    Raises:
        ConfigError: this copy of the package has none.
    """
    folder = ENCODERS / "tokenizer"
    if not (folder / "tokenizer.json").exists():
        raise ConfigError(
            "This copy of the package holds no tokenizer for the mini encoders.",
            where=folder,
            remedy="train it on the world's text: python -m xt_jax.mini.tokenizer --data_dir=WORLD",
        )
    return folder
