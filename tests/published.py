"""Writes Parquet files with the schemas published on the hub from examples."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from released import NLI_LANGUAGES, TYDIQA

from xt_jax.data.examples import SpanExample
from xt_jax.data.treebanks import read_sentences
from xt_jax.languages import ISO3, UD_NAMES

NLI = ("entailment", "neutral", "contradiction")
NER = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
UPOS = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()
PUBLISHED = {"train": "train", "dev": "validation", "test": "test"}
STRIPPED = ("xquad", "mlqa", "mlqa_cross", "tydiqa")


def write(path: Path, rows: list[dict], classes: dict | None = None) -> None:
    """Writes one Parquet file; the schema lists `classes` as the `datasets` library does."""
    table = pa.Table.from_pylist(rows)
    features = {}
    for name, names in (classes or {}).items():
        label = {"names": list(names), "_type": "ClassLabel"}
        is_list = pa.types.is_list(table.schema.field(name).type)
        features[name] = {"feature": label, "_type": "Sequence"} if is_list else label
    if classes:
        note = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": note})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=50)


def examples(files, task: str, split: str, language: str) -> list:
    return files.find(task, split, language)[0].read(())


def shard(folder: Path, split: str) -> Path:
    return folder / f"{split}-00000-of-00001.parquet"


def _write_mnli(root, files, task, split, language) -> None:
    rows = [
        {"premise": e.text_a, "hypothesis": e.text_b, "label": NLI.index(e.label), "idx": i}
        for i, e in enumerate(examples(files, task, split, language))
    ]
    name = {"train": "train", "dev": "validation_matched"}[split]
    path = shard(root / "nyu-mll/glue/mnli", name)
    write(path, rows, {"label": NLI})


def _write_qqp(root, files, task, split, language) -> None:
    rows = [
        {"question1": e.text_a, "question2": e.text_b, "label": int(e.label), "idx": i}
        for i, e in enumerate(examples(files, task, split, language))
    ]
    path = shard(root / "nyu-mll/glue/qqp", PUBLISHED[split])
    write(path, rows, {"label": ("not_duplicate", "duplicate")})


def _write_snli(root, files, task, split, language) -> None:
    """Writes two files with a row that has no consensus, and without class names."""
    rows = [
        {"premise": e.text_a, "hypothesis": e.text_b, "label": NLI.index(e.label)}
        for e in examples(files, task, split, language)
    ]
    rows.insert(7, rows[0] | {"label": -1})
    folder = root / "stanfordnlp/snli/plain_text"
    for number, some in enumerate((rows[:40], rows[40:])):
        write(folder / f"{PUBLISHED[split]}-0000{number}-of-00002.parquet", some)


def _write_anli(root, files, task, split, language) -> None:
    rows = [
        {"uid": e.id, "premise": e.text_a, "hypothesis": e.text_b, "label": NLI.index(e.label),
         "reason": ""}
        for e in examples(files, task, split, language)
    ]  # fmt: skip
    path = shard(root / "facebook/anli/plain_text", f"{split}_{task[-2:]}")
    write(path, rows, {"label": NLI})


def _write_xnli(root, files, task, split, language) -> None:
    rows = [
        {"language": lang, "sentence1": e.text_a, "sentence2": e.text_b, "gold_label": e.label}
        for lang in NLI_LANGUAGES
        for e in examples(files, task, split, lang)
    ]
    write(shard(root / "google/xtreme/XNLI", PUBLISHED[split]), rows)


def _write_pawsx(root, files, task, split, language) -> None:
    rows = [
        {"id": int(e.id), "sentence1": e.text_a, "sentence2": e.text_b, "label": int(e.label)}
        for e in examples(files, task, split, language)
    ]
    path = shard(root / f"google-research-datasets/paws-x/{language}", PUBLISHED[split])
    write(path, rows, {"label": ("0", "1")})


def _question(example: SpanExample, *, stripped: bool = False) -> dict:
    """Returns a question as in `google/xtreme`: stripped texts with the release's offsets."""
    change = str.strip if stripped else str
    answers = {
        "text": [change(text) for text, _ in example.answers],
        "answer_start": [start for _, start in example.answers],
    }
    return {
        "id": example.id,
        "title": "",
        "context": change(example.context),
        "question": change(example.question),
        "answers": answers,
    }


def _write_spans(root, files, task, split, language) -> None:
    context, _, question = language.partition("-")
    folder, name, languages = {
        "squad": ("rajpurkar/squad/plain_text", PUBLISHED[split], ["en"]),
        "squad_v2": ("rajpurkar/squad_v2/squad_v2", PUBLISHED[split], ["en"]),
        "xquad": (f"google/xtreme/XQuAD.{language}", "validation", [language]),
        "mlqa": (f"google/xtreme/MLQA.{language}.{language}", PUBLISHED[split], [language]),
        "mlqa_cross": (f"google/xtreme/MLQA.{context}.{question}", PUBLISHED[split], [language]),
        "tydiqa": (
            "google/xtreme/tydiqa",
            "train" if split == "train" else "validation",
            ["sw", "en"] if split == "train" else list(TYDIQA),
        ),
    }[task]
    rows = [
        _question(example, stripped=task in STRIPPED)
        for code in languages
        for example in examples(files, task, split, code)
    ]
    write(shard(root / folder, name), rows)


def _write_hellaswag(root, files, task, split, language) -> None:
    name = {"train": "train", "dev": "val", "test": "test"}[split]
    text = (Path(files._root) / f"hellaswag_{name}.jsonl").read_text()
    rows = [json.loads(line) for line in text.split("\n") if line]
    columns = ("activity_label", "ctx_a", "ctx_b", "ctx", "source_id", "split_type")
    rows = [
        {"ind": row.get("ind", 0), "endings": row["endings"], "label": str(row.get("label", ""))}
        | {column: row[column] for column in columns}
        for row in rows
    ]
    write(shard(root / "Rowan/hellaswag/data", PUBLISHED[split]), rows)


def _write_cosmos_qa(root, files, task, split, language) -> None:
    """Writes choices that begin with the question, cut between any two words."""
    rows = []
    for e in examples(files, task, split, language):
        question = e.choices[0].partition(" ")[0]
        answers = {f"answer{i}": choice[len(question) + 1 :] for i, choice in enumerate(e.choices)}
        label = -1 if e.label is None else int(e.label)
        rows.append(
            {"id": e.id, "context": e.text, "question": question, **answers, "label": label}
        )
    path = root / f"allenai/cosmos_qa/default/{PUBLISHED[split]}/0000.parquet"
    write(path, rows)


def _write_commonsense_qa(root, files, task, split, language) -> None:
    rows = [
        {
            "id": e.id,
            "question": e.text,
            "question_concept": "",
            "choices": {"label": list("ABCDE"), "text": list(e.choices)},
            "answerKey": "" if e.label is None else "ABCDE"[int(e.label)],
        }
        for e in examples(files, task, split, language)
    ]
    write(shard(root / "tau/commonsense_qa/data", PUBLISHED[split]), rows)


def _write_panx(root, files, task, split, language) -> None:
    rows = [
        {
            "tokens": list(e.words),
            "ner_tags": [NER.index(tag) for tag in e.tags],
            "langs": [language] * len(e.words),
        }
        for e in examples(files, task, split, language)
    ]
    path = shard(root / f"google/xtreme/PAN-X.{language}", PUBLISHED[split])
    write(path, rows, {"ner_tags": NER})


def _write_tatoeba(root, files, task, split, language) -> None:
    """Writes sentences that carry their line ends."""
    rows = [
        {
            "source_sentence": e.translation + "\n",
            "target_sentence": e.english + "\n",
            "source_lang": ISO3[language],
            "target_lang": "eng",
        }
        for e in examples(files, task, split, language)
    ]
    path = shard(root / f"google/xtreme/tatoeba.{ISO3[language]}", "validation")
    write(path, rows)


WRITERS = {
    "mnli": _write_mnli,
    "qqp": _write_qqp,
    "snli": _write_snli,
    **{f"anli_r{number}": _write_anli for number in (1, 2, 3)},
    "xnli": _write_xnli,
    "pawsx": _write_pawsx,
    **dict.fromkeys(("squad", "squad_v2", *STRIPPED), _write_spans),
    "hellaswag": _write_hellaswag,
    "cosmos_qa": _write_cosmos_qa,
    "commonsense_qa": _write_commonsense_qa,
    "panx": _write_panx,
    "tatoeba": _write_tatoeba,
}


def write_treebank(root: Path, releases: Path, language: str, bank: str, split: str) -> None:
    name = UD_NAMES[language]
    path = next((releases / f"ud-treebanks-v2.5/UD_{name}-{bank}").glob(f"*-ud-{split}.conllu"))
    rows = [
        {
            "tokens": [word.form for word in words],
            "pos_tags": [UPOS.index(word.tag) for word in words],
        }
        for words, _ in read_sentences(path, tuple(UPOS))
    ]
    published = "validation" if split == "dev" else split
    file = shard(root / f"google/xtreme/udpos.{name}", published)
    write(file, rows, {"pos_tags": UPOS})


def write_bucc(root: Path, corpora: list, ids: bool = True) -> list[dict]:
    texts = {example.id: example.text for example in corpora}
    rows = [
        {
            "source_sentence": example.text,
            "target_sentence": texts[partner],
            "source_lang": example.id if ids else "zh",
            "target_lang": partner if ids else "en",
        }
        for example in corpora
        for partner in example.partners or ()
    ]
    path = shard(root / "google/xtreme/bucc18.zh", "validation")
    write(path, rows)
    return rows
