"""The training recipe of each task, and where its settings come from.

The settings are those that jiant, the paper authors' toolkit, ships for XTREME (nyu-mll/jiant,
jiant/scripts/benchmarks/xtreme: subscripts c, d, e and xtreme_runconfig_writer.py): learning rate
1e-5, warm-up over 10 % of the steps then linear decay to 0, AdamW with decay 0.01 except on biases
and LayerNorms, eps 1e-8, clipping at 1.0, evaluation every 1,000 steps on 500 English dev
examples, stop after 30 evaluations without improvement, the best one kept. XTREME's own scripts
(google-research/xtreme, scripts/train_*.sh) use 2e-5 for five epochs on pairs and ten on tags at
length 128, and 3e-5 for three epochs on SQuAD. The paper's own table could not be read.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """The settings with which one task is trained.

    Attributes:
        epochs: passes over the training features.
        steps: optimizer steps in place of the epochs; 0: as many as the epochs take.
        batch_size: features per optimizer step (in choice tasks: examples).
        batch_tokens: tokens of a step, padding included, in place of `batch_size` examples; 0:
            exact batches.
        max_length: tokens of a feature, special tokens included.
        doc_stride: tokens between the beginnings of two windows (spans).
        warmup_ratio: share of the steps with a rising learning rate.
        adam_b2: decay of the second moment.
        clip_norm: of the global gradient; 0: no clipping.
        eval_every: steps between evaluations on English dev (there is one at the end too).
        eval_examples: English dev examples used for that; 0: all.
        patience: evaluations without improvement before training stops; 0: never.
    """

    learning_rate: float = 1e-5
    epochs: float = 2
    steps: int = 0
    batch_size: int = 32
    batch_tokens: int = 0
    max_length: int = 256
    doc_stride: int = 128
    warmup_ratio: float = 0.1
    weight_decay: float = 0.01
    adam_b2: float = 0.999
    adam_eps: float = 1e-8
    clip_norm: float = 1.0
    eval_every: int = 1000
    eval_examples: int = 500
    patience: int = 30


# Where batches and epochs come from; settings not named here are those described above.
JIANT = "jiant"
REMEMBERED = "recalled from the paper, not checked"
OURS = "ours"

NLI = XNLI = Recipe()
QQP = Recipe(epochs=3)
HELLASWAG = Recipe(epochs=7, batch_size=24)
COSMOS_QA = Recipe(epochs=15, batch_size=4)
COMMONSENSE_QA = Recipe(epochs=10, batch_size=4)
CCG = Recipe(epochs=15, batch_size=24)
PAWSX = Recipe(epochs=5)
TAGS = Recipe(epochs=10)
SQUAD = Recipe(epochs=2, batch_size=16, max_length=384)
# An epoch is one pass over the text; the second moment as in RoBERTa (Liu et al. 2019).
MLM = Recipe(epochs=1, adam_b2=0.98)
# What the tasks of a mixture share is taken from here, the rest from each task's own recipe.
MIXTURE = Recipe()
# Nothing is trained; the length limit is jiant's and XTREME's.
RETRIEVAL = Recipe(max_length=512)

# jiant ships nothing for intermediate tasks; MNLI's are those of its XNLI, which trains on MNLI.
SOURCES = {
    **dict.fromkeys(("mnli", "squad"), JIANT),
    "squad_v2": "as squad",
    **dict.fromkeys(("snli", "anli_r1", "anli_r2", "anli_r3", "anli_plus"), "as mnli"),
    "qqp": f"epochs {REMEMBERED}; batch as mnli",
    **dict.fromkeys(("hellaswag", "cosmos_qa", "commonsense_qa", "ccg"), REMEMBERED),
    "mlm": OURS,
    **dict.fromkeys(
        ("xnli", "pawsx", "udpos", "panx", "xquad", "mlqa", "tydiqa", "bucc", "tatoeba"), JIANT
    ),
    "mlqa_cross": "as mlqa",
}
