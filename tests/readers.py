"""The readers of the official formats, each for one file and with the labels that it allows."""

from __future__ import annotations

from xt_jax.data import formats, treebanks
from xt_jax.tasks.table import ENTITIES, NLI, UPOS

BINARY = ("0", "1")
FOUR, FIVE = tuple("0123"), tuple("01234")


def one_file(read, labels=(), language="en"):
    return lambda path: read([path], language, labels)


mnli = one_file(formats.mnli, NLI)
snli = one_file(formats.snli, NLI)
nli_text = one_file(formats.nli_text, NLI)
nli_jsonl = one_file(formats.nli_jsonl, NLI)
anli = one_file(formats.anli, NLI)
german_xnli = one_file(formats.xnli, NLI, "de")
xnli = one_file(formats.xtreme_pairs, NLI)
xnli_mt = one_file(formats.xnli_mt, NLI)
pawsx = one_file(formats.xtreme_pairs, BINARY)
paws = one_file(formats.paws, BINARY)
translated = one_file(formats.translated_pairs, BINARY)
qqp = one_file(formats.qqp, BINARY)
hellaswag = one_file(formats.hellaswag, FOUR)
cosmos = one_file(formats.cosmos_qa, FOUR)
commonsense = one_file(formats.commonsense_qa, FIVE)
squad = one_file(formats.squad)
squad_v2 = one_file(formats.squad_v2)
translated_squad = one_file(formats.translated_squad)
tydiqa = one_file(formats.tydiqa)
tydiqa_train = one_file(formats.tydiqa_train)
ner = one_file(formats.tags, ENTITIES)
pos = one_file(formats.tags, UPOS)
panx = one_file(formats.panx, ENTITIES)
texts = one_file(formats.texts)
ccg = one_file(treebanks.read_ccg)


def treebank(path):
    return treebanks.read_conllu([path], path.name[:2], UPOS)


def parallel(english, foreign):
    return formats.parallel([english, foreign], "de", ())


def bucc(*paths):
    return formats.bucc(paths, "de", ())
