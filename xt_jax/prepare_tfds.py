"""Downloads and prepares TFDS data sets in the form that the source `tfds` reads.

    python -m xt_jax.prepare_tfds --data_dir=DIR wikiann/sw squad/v1.1 ...

Needs the extra `tfds`. `tfds build NAME --file_format=array_record --nondeterministic_order` does
the same, but needs Apache Beam (TFDS 4.9.10). The order of the release is kept; see
`xt_jax.data.sources.tfds`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def prepare(name: str, directory: str, open_builder: Callable[..., Any] | None = None) -> None:
    """Prepares the data set `name[/config]` below `directory` unless it already exists there.

    Args:
        open_builder: called in place of `tfds.builder`.
    """
    import tensorflow_datasets as tfds

    builder = (open_builder or tfds.builder)(name, data_dir=directory, file_format="array_record")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            try_download_gcs=False, nondeterministic_order=True
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("names", nargs="+", metavar="NAME[/CONFIG]")
    arguments = parser.parse_args()
    for name in arguments.names:
        prepare(name, arguments.data_dir)


if __name__ == "__main__":
    main()
