"""Codes of languages and of pairs: what is known of them and which file names hold them."""

from __future__ import annotations

import pytest

from xt_jax.data.sources.candidates import Candidate, language_of, serves
from xt_jax.data.sources.source import fill
from xt_jax.languages import (
    LANGUAGES,
    UNKNOWN,
    Language,
    Pair,
    components,
    is_code,
    language,
    letter_names,
    pair,
)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("zh", ("Chinese", "Han", "Sino-Tibetan")),
        ("zh-CN", ("Chinese (CN)", "Han", "Sino-Tibetan")),
        ("pt-BR", ("Portuguese (BR)", "Latin", "Romance")),
        ("eng_Latn", ("English (Latn)", "Latin", "Germanic")),
        ("kk-Arab-CN", ("Kazakh (Arab, CN)", "Arabic", "Turkic")),
        ("uzn_Cyrl", ("uzn_Cyrl", "Cyrillic", UNKNOWN)),
        ("xx", ("xx", UNKNOWN, UNKNOWN)),
        ("de-en", ("de-en", UNKNOWN, UNKNOWN)),
    ],
)
def test_a_tag_has_the_name_script_and_family_of_its_language(code, expected):
    assert language(code) == Language(*expected)
    assert all(language(short) == known for short, known in LANGUAGES.items())


def test_letters_of_a_script_are_told_by_their_unicode_names():
    assert letter_names("ja") == ("CJK", "HIRAGANA", "KATAKANA")
    assert letter_names("my") == ("MYANMAR",)
    assert letter_names("zh-CN-en") == ("CJK",)  # the context's
    assert letter_names("xx") == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("de-en", Pair("de", "en")),
        ("zh-CN-pt-BR", Pair("zh-CN", "pt-BR")),
        ("eng_Latn-de", Pair("eng_Latn", "de")),
        *((single, None) for single in ("de", "zh-CN", "eng_Latn", "sr-Latn-RS", "de-", "-en", "")),
    ],
)
def test_a_pair_is_read_as_it_is_printed(text, expected):
    assert pair(text) == expected
    assert components(text) == (expected or (text,))
    assert text == str(expected or text)
    assert not (expected and is_code(text))


@pytest.mark.parametrize("code", ["de", "yue", "zh-CN", "eng_Latn", "sr-Latn-RS"])
def test_a_file_name_holds_any_code(code):
    single = Candidate(("x/test-{lang}.tsv",), read=lambda *_: [])
    crossed = Candidate(("x/test-context-{context}-question-{question}.json",), lambda *_: [])
    both = str(Pair(code, "en"))
    assert [serves(single, code), serves(single, both)] == [True, False]
    assert [serves(crossed, both), serves(crossed, code)] == [True, False]
    name = fill(single.patterns[0], code).removeprefix("x/")
    assert language_of("test-{lang}.tsv", name) == code
    assert language_of("test-{lang}.tsv", "test-something.tsv") == ""
    name = fill(crossed.patterns[0], both).removeprefix("x/")
    assert language_of("test-context-{context}-question-{question}.json", name) == both
