"""Prepares data sets with TFDS's own builders from releases that are already on disk.

    python tests/prepare_tfds.py RELEASES DATA_DIR [--shuffle | --registered] NAME ...

With `--shuffle` as TFDS does by default; with `--registered` through `tfds.builder`, which needs
TensorFlow. Without it the builders get Python's own functions for those of `tf.io.gfile` that they
call.
"""

from __future__ import annotations

import argparse
import glob
import importlib
import importlib.resources.abc
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow_datasets as tfds
from etils import epath
from released import find_upstream

from xt_jax.prepare_tfds import prepare

MANAGER = "tensorflow_datasets.core.download.download_manager.DownloadManager"
CLASSES = {
    "glue": "text.glue:Glue",
    "hellaswag": "text.hellaswag:Hellaswag",
    "wikiann": "text.wikiann.wikiann:Wikiann",
    "xnli": "text.xnli:Xnli",
    "xtreme_pawsx": "text.xtreme_pawsx.xtreme_pawsx:XtremePawsx",
    "xtreme_xnli": "text.xtreme_xnli.xtreme_xnli:XtremeXnli",
    "cosmos_qa": "question_answering.cosmos_qa:CosmosQA",
    "tydi_qa": "question_answering.tydi_qa:TydiQA",
    "xquad": "question_answering.xquad:Xquad",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("releases", type=Path)
    parser.add_argument("data_dir")
    parser.add_argument("--shuffle", action="store_true")
    parser.add_argument("--registered", action="store_true")
    parser.add_argument("names", nargs="+")
    args = parser.parse_args()
    tfds.disable_progress_bar()
    if not importlib.util.find_spec("importlib_resources"):
        sys.modules["importlib_resources"] = importlib.resources  # TFDS forgets to depend on it

    def download(self, urls):
        if isinstance(urls, dict):
            return {name: download(self, url) for name, url in urls.items()}
        path = find_upstream(args.releases, urls)
        assert path.exists(), f"{urls}: {path}"
        return epath.Path(path)

    def extract(self, path):
        return epath.Path(str(path).removesuffix(".tar.gz"))

    def open_builder(name, **options):
        dataset, _, config = name.partition("/")
        place, _, class_name = CLASSES.get(
            dataset, f"datasets.{dataset}.{dataset}_dataset_builder:Builder"
        ).partition(":")
        module = importlib.import_module(f"tensorflow_datasets.{place}")
        if hasattr(module, "tf") and not importlib.util.find_spec("tensorflow"):
            module.tf = _files_of_python()
        return getattr(module, class_name)(config=config or None, **options)

    with (
        mock.patch(f"{MANAGER}.download", download),
        mock.patch(f"{MANAGER}.download_and_extract", download),
        mock.patch(f"{MANAGER}.extract", extract),
    ):
        for name in args.names:
            if args.shuffle:
                builder = open_builder(name, data_dir=args.data_dir, file_format="array_record")
                builder.download_and_prepare()
            elif args.registered:
                prepare(name, args.data_dir)
            else:
                prepare(name, args.data_dir, open_builder)
            print("prepared", name, flush=True)


def _files_of_python() -> ModuleType:
    def opened(path, mode="r"):
        return open(path, mode, encoding=None if "b" in mode else "utf-8")

    module = ModuleType("tensorflow")
    module.io = SimpleNamespace(
        gfile=SimpleNamespace(GFile=opened, listdir=os.listdir, glob=glob.glob)
    )
    return module


if __name__ == "__main__":
    main()
