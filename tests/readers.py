"""The readers of the official formats, each with the labels that its files allow."""

from __future__ import annotations

from functools import partial

from xt_jax.data import conllu, formats
from xt_jax.tasks.table import ENTITIES, NLI, UPOS

BINARY = ("0", "1")
FOUR, FIVE = tuple("0123"), tuple("01234")

mnli = partial(formats.read_mnli, labels=NLI)
snli = partial(formats.read_snli, labels=NLI)
nli_text = partial(formats.read_nli_text, labels=NLI)
nli_jsonl = partial(formats.read_nli_jsonl, labels=NLI)
anli = partial(formats.read_anli, labels=NLI)
german_xnli = partial(formats.read_xnli, language="de", labels=NLI)
xnli = partial(formats.read_xtreme_pairs, labels=NLI)
xnli_mt = partial(formats.read_xnli_mt, labels=NLI)
pawsx = partial(formats.read_xtreme_pairs, labels=BINARY)
paws = partial(formats.read_paws, labels=BINARY)
translated = partial(formats.read_translated_pairs, labels=BINARY)
qqp = partial(formats.read_qqp, labels=BINARY)
hellaswag = partial(formats.read_hellaswag, labels=FOUR)
cosmos = partial(formats.read_cosmos_qa, labels=FOUR)
commonsense = partial(formats.read_commonsense_qa, labels=FIVE)
ner = partial(formats.read_tags, labels=ENTITIES)
pos = partial(formats.read_tags, labels=UPOS)
panx = partial(formats.read_panx, labels=ENTITIES)
ccg = partial(formats.read_ccg, labels=())


def treebank(path):
    return conllu.read_conllu(path, path.name[:2], UPOS)
