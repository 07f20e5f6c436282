"""Published zero-shot test scores of published models, to stand beside ours.

Only figures that were read in the source named are here. Retrieval is left out: which pooling and
layer the published figures of BUCC and Tatoeba come from is not settled (google-research/xtreme,
issues 21 and 97, pull request 104).
"""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """Published scores by (target, metric); `model` is the last part of a hub id."""

    model: str
    scores: dict[tuple[str, str], float]
    source: str


def _scores(text: str) -> dict[tuple[str, str], float]:
    cells = [cell.split() for cell in text.split(";")]
    return {(target, metric): float(value) for target, metric, value in cells}


PUBLISHED = (
    Published(
        "xlm-roberta-large",
        _scores(
            "xnli accuracy 79.2; pawsx accuracy 86.4; udpos f1 73.8; panx f1 65.4; "
            "xquad f1 76.6; xquad exact_match 60.8; mlqa f1 71.6; mlqa exact_match 53.2; "
            "tydiqa f1 65.1; tydiqa exact_match 45.0"
        ),
        "RemBERT, arXiv 2010.12821, table 16",
    ),
    Published(
        "xlm-roberta-base",
        _scores(
            "xnli accuracy 75.0; pawsx accuracy 84.9; udpos f1 75.6; panx f1 61.8; "
            "xquad f1 71.9; xquad exact_match 56.4; mlqa f1 65.1; mlqa exact_match 47.2; "
            "tydiqa f1 55.4; tydiqa exact_match 38.3"
        ),
        "XLM-Align, github.com/CZWin32768/XLM-Align",
    ),
    Published(
        "bert-base-multilingual-cased",
        _scores(
            "xnli accuracy 65.4; pawsx accuracy 81.9; panx f1 62.2; xquad f1 64.5; "
            "mlqa f1 61.4; tydiqa f1 59.7"
        ),
        "mT5, github.com/google-research/multilingual-t5",
    ),
    Published(
        "Multilingual-MiniLM-L12-H384",
        _scores("xnli accuracy 71.1; mlqa f1 63.2"),
        "MiniLM, github.com/microsoft/unilm",
    ),
)


def published(model: str) -> Published | None:
    """Returns the published scores of `model` (a folder, preset or hub id), if there are any."""
    name = model.rstrip("/").rsplit("/", 1)[-1]
    return next((figures for figures in PUBLISHED if figures.model == name), None)
