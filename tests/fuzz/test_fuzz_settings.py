"""Odd settings and command lines: refused at once with the field, or run; see test_fuzz_data.py."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, get_type_hints

import pytest
from mutations import ODD_VALUES, SEED, Outcomes, rounds

from xt_jax import check_data, mine, score, status
from xt_jax.config import Config, parse_arg, unknown_field
from xt_jax.errors import UserError
from xt_jax.report import __main__ as report
from xt_jax.study import forecast
from xt_jax.study.check import check
from xt_jax.tasks.metrics.tagging import SEQEVAL_VERSIONS

NUMBERS = [
    *(math.nan, math.inf, -math.inf, 0, -1, 1, 2, 7, 1e-9, 0.5, 1e8, 1e300, 10**30, 10**400),
    *(2**31, 2**63, True, 1.0, 100, 999, 1000),
]
NAMES = ["en", "de", "mnli", "squad", "mlm", "mnli+squad", "mnli+mlm", "xnli", "tatoeba", "direct"]
NAMES += ["none", "base", "tiny", "mini-64", "large", "auto", "dev", "given", "fsdp", "3/16", "x+"]
PAGES = ("mnli_to_xtreme", "scaling_study", "multitask_to_xtreme", "quickstart", "direct_to_xtreme")


def sections(section: Any) -> Iterator[tuple[Any, str]]:
    """Yields every field as (its section, its name)."""
    for name, kind in get_type_hints(type(section)).items():
        yield section, name
        if dataclasses.is_dataclass(kind):
            yield from sections(getattr(section, name))


def odd(rng: Random) -> Any:
    value = rng.choice((rng.choice(NUMBERS), rng.choice(NAMES), rng.choice(ODD_VALUES)))
    if rng.random() < 0.4:
        value = tuple(rng.choice((value, odd(rng))) for _ in range(rng.randrange(4)))
    return value


def odd_config(rng: Random) -> Config:
    config = Config(intermediates=("mnli",), targets=("xnli",))
    for _ in range(rng.choice((1, 1, 2, 3))):
        fields = [(s, n) for s, n in sections(config) if dataclasses.is_dataclass(s)]
        section, name = rng.choice(fields)
        old = getattr(section, name)
        if dataclasses.is_dataclass(old) and rng.random() < 0.95:
            continue
        setattr(section, name, odd(rng))
        if not all(dataclasses.is_dataclass(s) for s, _ in _top(config)):
            break
    return config


def _top(config: Config) -> list[tuple[Any, str]]:
    names = ("model", "data", "train", "mixture", "retrieval", "ray", "intermediate", "target")
    return [(getattr(config, name), name) for name in names]


def test_odd_configurations(tmp_path):
    """A configuration that `check` accepts has a forecast without NaN or infinity."""
    rng, outcomes = Random(f"settings {SEED}"), Outcomes()
    for turn in range(rounds(300)):
        config = odd_config(rng)
        about = f"turn {turn} of seed {SEED}: {str(config)[:500]}"
        outcomes.attempt("check", about, partial(check, config))
        text = outcomes.attempt("forecast", about, partial(forecasted, config, tmp_path))
        if text is not None:
            assert "nan" not in text, about
            assert not re.search(r"\binf\b", text), about
    outcomes.check()


def forecasted(config: Config, folder: Path) -> str:
    check(config)
    if config.data.source != "files":  # whose data is read
        config = dataclasses.replace(config, data=Config().data)
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, dir=""))
    return forecast.forecast(config, str(folder), 0.4)


def test_odd_options_of_pages():
    rng, outcomes = Random(f"pages {SEED}"), Outcomes()
    defaults = {"size": "base", "seeds": 1, "rate": 0.5, "random": False, "sizes": "base+large"}
    pieces = [*defaults, *NAMES, *map(str, NUMBERS), "", "=", ",", ":", "(", "[" * 5000, "\0", "1e"]
    for turn in range(rounds(300)):
        parts = [rng.choice((rng.choice(pieces), "=", ",")) for _ in range(rng.randrange(6))]
        text = "".join(parts)
        about = f"turn {turn} of seed {SEED}: {text[:200]}"
        found = outcomes.attempt("page", about, partial(parse_arg, text, **defaults))
        if found is not None:
            assert {name: type(value) for name, value in found.items()} == {
                name: type(value) for name, value in defaults.items()
            }
        unknown_field([f"--config.{text}"])
    outcomes.check()


COMMANDS = {
    "report": (report.main, ("--results", "--output"), ("--skip_malformed",)),
    "status": (status.main, ("--workdir",), ("--all",)),
    "score": (
        score.main,
        ("--predictions", "--labels", "--version", "--output", "--seqeval"),
        ("--allow_missing",),
    ),
    "check_data": (
        check_data.main,
        ("--data_dir", "--source", "--tokenizer", "--task", "--language", "--output"),
        ("--strict",),
    ),
    "mine": (
        mine.main,
        (
            *("--model", "--source", "--target", "--output", "--tokenizer", "--layer", "--pooling"),
            *("--max_length", "--margin", "--retrieval", "--k", "--threshold", "--dtype"),
            "--embeddings",
        ),
        (),
    ),
}


# What options of few values mostly get, so that the others matter.
USUAL = {
    "--version": ("xtreme", "xtreme-r"),
    "--seqeval": SEQEVAL_VERSIONS,
    "--source": ("files", "tfds", "hub"),
    "--task": ("xnli", "tatoeba", "mnli"),
    "--language": ("de", "xx"),
    "--model": ("mini-48", "none", "tiny"),
    "--tokenizer": ("words", "", "none"),
    "--layer": ("1", "0", "-1", "99", "nan"),
    "--pooling": ("mean", "first"),
    "--max_length": ("16", "0", "-1", "99999999", "512"),
    "--margin": ("ratio", "distance", "absolute"),
    "--retrieval": ("max", "intersection", "forward"),
    "--k": ("4", "0", "-1", "99999999999"),
    "--threshold": ("1.0", "nan", "inf", "-inf", "0"),
    "--dtype": ("float32", "float16"),
}


@pytest.fixture
def values(tmp_path) -> list[str]:
    """Values of options: places that are there and others, names, numbers."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("a line\nand another\n")
    (tmp_path / "bytes").write_bytes(bytes(range(256)))
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "status.json").write_text(json.dumps({"jobs": []}))
    (tmp_path / "work" / "results.jsonl").write_text("{}\n")
    places = ["empty", "file", "bytes", "work", "none", "a[1]", "file/below", "new/out.tsv", "é\n"]
    return [
        *(f"{tmp_path}/{place}" for place in places),
        *(
            "",
            ".",
            "/proc/x",
            "/dev/null",
            "x" * 5000,
            "nowhere://x",
            "~",
            "--",
            "-1",
            "0",
            "1",
            "4",
        ),
        *("nan", "inf", "1e9", "9" * 5000, "xtreme", "xtreme-r", "files", "words", "xnli", "de"),
        *("mini-48", "float16", "cls", "mean", "ratio", "max", "\udcff", "=1+1"),
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_odd_command_lines(name, values, tmp_path, monkeypatch):
    """Each ends with success, a message, or argparse's own status 2."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mine, "mine", _too_far)
    rng, outcomes = Random(f"{name} {SEED}"), Outcomes()
    main, options, switches = COMMANDS[name]
    for turn in range(rounds(60)):
        argv = []
        for option in options:
            usual = USUAL.get(option, ()) if name + option != "mine--source" else ()
            if rng.random() < 0.9:
                odd = rng.random() < (0.1 if usual else 1)
                argv.append(f"{option}={rng.choice(values if odd else usual)}")
        argv += [switch for switch in switches if rng.random() < 0.5]
        if rng.random() < 0.1:
            argv.insert(rng.randrange(len(argv) + 1), rng.choice(values))
        about = f"turn {turn} of seed {SEED}: {name} {argv}"
        outcomes.attempt(name, about[:1500], partial(run, main, argv))
    print(f"\n{outcomes}")


def _too_far(*_: Any, **__: Any) -> None:
    raise UserError("the search was reached", where="here", remedy="none")


def run(main: Any, argv: list[str]) -> None:
    """Runs a command; raises what it prints for a place that cannot be used as a UserError."""
    output, status = io.StringIO(), None
    with contextlib.redirect_stderr(output), contextlib.redirect_stdout(output):
        try:
            main(argv)
        except SystemExit as ended:
            status = ended.code
        except OSError as error:  # see `xt_jax.command`
            raise UserError(error.strerror, where=error.filename or "?", remedy="?") from None
    assert status in (None, 0, 2)  # those of argparse
    assert "Traceback" not in output.getvalue()
