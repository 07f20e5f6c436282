"""Readers of the official file formats; CoNLL-U has its own module, `conllu`.

A reader takes a path that `etils.epath` understands and returns the records of `examples`. Every
fault is a `DataError` that names file and line (and column, of broken JSON). Lines end at LF or
CR LF only, never at the other separators of Unicode, and text is kept as it stands unless a
docstring says otherwise. Where a reader takes `labels`, those are the allowed ones, () for any.

The layouts are those of the releases and of google-research/xtreme at 838c13b69daa
(`utils_preprocess.py`). Ids that a format does not store are row numbers from 0. The writers are in
the embedded world (`xt_jax.mini.formats`), except SQuAD's, which submissions need too.
"""

from xt_jax.data.formats.choices import (
    read_commonsense_qa,
    read_cosmos_qa,
    read_hellaswag,
)
from xt_jax.data.formats.nli import (
    read_anli,
    read_mnli,
    read_nli_jsonl,
    read_nli_text,
    read_snli,
    read_xnli,
    read_xnli_mt,
)
from xt_jax.data.formats.pairs import (
    read_paws,
    read_qqp,
    read_translated_pairs,
    read_xtreme_pairs,
)
from xt_jax.data.formats.spans import read_squad, read_squad_v2, write_squad
from xt_jax.data.formats.tags import read_ccg, read_panx, read_tags
from xt_jax.data.formats.texts import (
    read_bucc,
    read_parallel,
    read_texts,
)

__all__ = [
    "read_anli",
    "read_bucc",
    "read_ccg",
    "read_commonsense_qa",
    "read_cosmos_qa",
    "read_hellaswag",
    "read_mnli",
    "read_nli_jsonl",
    "read_nli_text",
    "read_panx",
    "read_parallel",
    "read_paws",
    "read_qqp",
    "read_snli",
    "read_squad",
    "read_squad_v2",
    "read_tags",
    "read_texts",
    "read_translated_pairs",
    "read_xnli",
    "read_xnli_mt",
    "read_xtreme_pairs",
    "write_squad",
]
