"""Sources of examples (official files, TFDS, the Hugging Face hub) behind one interface."""

from __future__ import annotations

from xt_jax.data.sources.source import Found, Source, has_labels
from xt_jax.errors import ConfigError

__all__ = ["SOURCES", "Found", "Source", "has_labels", "open_source"]

SOURCES = ("files", "tfds", "hub")


def open_source(name: str, directory: str) -> Source:
    """Opens the data source of that name.

    Args:
        name: files (official formats below `directory`), tfds (data sets that TFDS has prepared in
            `directory`, "" for its default) or hub (parquet files below `directory`, or downloaded
            at pinned revisions if `directory` is "").

    Raises:
        ConfigError: an unknown source, or a folder that does not exist.
    """
    if name == "files":
        from xt_jax.data.sources.files import FileSource

        return FileSource(directory)
    if name == "tfds":
        from xt_jax.data.sources.tfds import TfdsSource

        return TfdsSource(directory)
    if name == "hub":
        from xt_jax.data.sources.hub import HubSource

        return HubSource(directory)
    raise ConfigError(
        f"There is no data source `{name}`.",
        where="--config.data.source",
        remedy=f"use one of: {', '.join(SOURCES)}, mini",
    )
