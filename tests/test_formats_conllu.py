"""Tests that CoNLL-U treebanks are fused and cleaned as XTREME does."""

from __future__ import annotations

import pytest
from readers import pos, treebank

from xt_jax.data.examples import TagExample
from xt_jax.errors import DataError


def word(number, form="a", tag="NOUN", head="0", deps="_"):
    return f"{number}\t{form}\t_\t{tag}\t_\t_\t{head}\troot\t{deps}\t_\n"


@pytest.mark.parametrize(
    ("name", "split", "overlap"),
    [
        ("UD_English-EWT/en_ewt-ud-dev", "dev-en", 150),
        ("UD_Hebrew-HTB/he_htb-ud-dev", "dev-he", 60),
        ("UD_Kazakh-KTB/kk_ktb-ud-test", "test-kk", 50),
        ("UD_Tagalog-TRG/tl_trg-ud-test", "test-tl", 50),
        ("UD_Tamil-TTB/ta_ttb-ud-test", "test-ta", 50),
        ("UD_Thai-PUD/th_pud-ud-test", "test-th", 50),
        ("UD_Yoruba-YTB/yo_ytb-ud-test", "test-yo", 50),
    ],
)
def test_conllu_becomes_what_xtreme_made_of_it(name, split, overlap, shared):
    ours = treebank(shared / "data/udpos/ud-treebanks-v2.5" / f"{name}.conllu")[:overlap]
    theirs = pos(shared / f"data/udpos/{split}.tsv")[:overlap]
    if theirs[0].tags is None:
        ours = [example._replace(tags=None) for example in ours]
    assert len(ours) == overlap
    assert ours == theirs


@pytest.mark.parametrize(
    ("language", "parts", "tag"),
    [
        ("en", [("ADP", "4"), ("NOUN", "4")], "NOUN"),
        ("en", [("NOUN", "4"), ("VERB", "4")], "VERB"),
        ("en", [("ADP", "4"), ("NOUN", "1")], "ADP"),
        ("en", [("SYM", "4"), ("PUNCT", "4")], "PUNCT"),
        ("en", [("SYM", "4"), ("SYM", "4")], "SYM"),
        ("en", [("ADV", "4"), ("PRON", "4")], "PRON"),
        ("it", [("PRON", "4"), ("ADV", "4")], "ADV"),
        ("fr", [("NOUN", "4"), ("AUX", "4")], "AUX"),
        ("es", [("NOUN", "4"), ("DET", "4")], "DET"),
    ],
)
def test_a_fused_word_takes_the_tag_nearest_the_root_then_by_precedence(
    language, parts, tag, tmp_path
):
    lines = [word("1-2", "du", "_", "_")]
    lines += [word(i, "d", upos, head) for i, (upos, head) in enumerate(parts, start=1)]
    lines += [word("2.1", "gap"), word(3, "x", "X", "4"), word(4, "y", "VERB", "0"), "\n"]
    path = tmp_path / f"{language}_x.conllu"
    path.write_text("# sent_id = 1\n" + "".join(lines))
    expected = TagExample("0", ("du", "x", "y"), (tag, "X", "VERB"))
    assert treebank(path) == [expected]


def test_enhanced_relations_count_towards_the_depth_of_a_part(tmp_path):
    path = tmp_path / "en_x.conllu"
    lines = [word("1-2", "du"), word(1, "d", "ADP", "3", "3:case"), word(2, "u", "NOUN", "3")]
    path.write_text("".join([*lines, word(3, "y", "VERB")]))
    assert treebank(path)[0].tags == ("NOUN", "VERB")
    lines[2] = word(2, "u", "NOUN", "3", "3:obl|3.1:obl|4:conj")
    path.write_text("".join([*lines, word(3, "y", "VERB"), word(4, "z", "VERB", "3")]))
    assert treebank(path)[0].tags == ("ADP", "VERB", "VERB")
    cycle = [word("1-2", "du"), word(1, "d", "ADP", "3"), word(2, "u", "NOUN", "3")]
    path.write_text("".join([*cycle, word(3, "y", "VERB", "0", "1:conj")]))
    assert treebank(path)[0].tags == ("ADP", "VERB")


def test_a_number_of_thousands_of_digits_is_no_id_and_no_head(tmp_path):
    path = tmp_path / "en_x.conllu"
    many = "9" * 5000
    for number in (many, f"1-{many}"):
        path.write_text(word(number))
        with pytest.raises(DataError, match="is no word id") as error:
            treebank(path)
        assert error.value.where == f"{path}:1"
        assert len(str(error.value)) < 2500
    path.write_text(word(1, head=many))
    assert len(treebank(path)) == 1


def test_conllu_cleans_words_and_drops_withheld_sentences(tmp_path):
    path = tmp_path / "fr_x.conllu"
    kept = [word(1, "10 000"), word(2, "a\u200cb\xa0"), word(3, "\u200c")]
    withheld = [word(1, "_"), word(2, "_"), word(3, ".", "PUNCT")]
    genuine = [word(1, "_", "PUNCT"), word(2, "b"), word(3, "c")]
    path.write_text("\n".join("".join(sentence) for sentence in (kept, withheld, genuine)))
    assert treebank(path) == [
        TagExample("0", ("10000", "ab", ""), ("NOUN", "NOUN", "NOUN")),
        TagExample("1", ("_", "b", "c"), ("PUNCT", "NOUN", "NOUN")),
    ]
    path.write_text("".join(withheld))
    with pytest.raises(DataError, match="no example"):
        treebank(path)
