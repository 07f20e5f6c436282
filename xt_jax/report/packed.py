"""Packs all that a report reads of a study into one small file, and unpacks it.

The file is an archive of the workdir's own files: all rows, their per-example scores, and of logs
and status what a report shows. The same study gives the same bytes.
"""

from __future__ import annotations

import contextlib
import io
import json
import lzma
import tarfile
import tempfile
from collections.abc import Iterator

from etils import epath

from xt_jax.errors import DataError
from xt_jax.files import atomic_write_bytes, find
from xt_jax.records import example_scores, results
from xt_jax.records.json_files import Malformed, read_object, read_objects
from xt_jax.records.progress import status_file
from xt_jax.report.phase_logs import LOG, PHASES, RECORD, is_shown
from xt_jax.report.sweeps import RECORD as RATES

FILE = "study.tar.xz"


def pack(folder: epath.Path, output: epath.Path, malformed: Malformed | None = None) -> epath.Path:
    """Writes the packed study of a workdir into the folder `output`; returns its path.

    Args:
        malformed: as in `records.results.read_rows`.

    Raises:
        DataError: a malformed line or record, unless `malformed` takes it.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:xz") as tar:
        for name, content in _files(folder, malformed):
            entry = tarfile.TarInfo(name)  # of no time and no owner
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    atomic_write_bytes(output / FILE, archive.getvalue())
    return output / FILE


@contextlib.contextmanager
def unpacked(folder: epath.Path) -> Iterator[epath.Path]:
    """Yields the folder, or where it has a packed study in place of result files, that study's.

    Raises:
        DataError: a damaged file.
    """
    path = folder / FILE
    if results.result_files(folder) or not path.exists():
        yield folder
        return
    with tempfile.TemporaryDirectory() as place:
        try:
            with tarfile.open(fileobj=io.BytesIO(path.read_bytes()), mode="r:xz") as tar:
                tar.extractall(place, filter="data")
        except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
            raise DataError(
                f"The packed study cannot be read ({error}).",
                where=path,
                remedy="fetch the file again, or pack the study again with "
                "`python -m xt_jax.report --pack`",
            ) from error
        yield epath.Path(place)


def _files(folder: epath.Path, malformed: Malformed | None) -> Iterator[tuple[str, bytes]]:
    """Yields the name in the workdir and the content of each file."""
    rows = results.read_all(folder, malformed=malformed)
    yield results.FILE, results.as_lines(rows)
    for run, data in sorted({(row["run"], row["data"]) for row in rows}, key=lambda key: key[::-1]):
        path = example_scores.path_of(folder, run, data)
        if path.exists():
            yield path.relative_to(folder).as_posix(), path.read_bytes()
    for record in find(folder, f"{PHASES}/*/{RECORD}"):
        name = f"{PHASES}/{record.parent.name}"
        for beside in (record, record.parent / RATES):
            if beside.exists():
                yield f"{name}/{beside.name}", beside.read_bytes()
        lines = [
            {key: value for key, value in line.items() if is_shown(key)}
            for _, line in read_objects(record.parent / LOG, malformed)
        ]
        yield f"{name}/{LOG}", "".join(json.dumps(line) + "\n" for line in lines).encode()
    status = folder / status_file("")
    if status.exists():
        try:
            about = read_object(status) | {"jobs": []}
        except DataError as error:
            if malformed is None:
                raise
            malformed(error)
        else:
            yield status.name, json.dumps(about).encode()
