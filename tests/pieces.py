"""Provides the fixtures `lines` and `folder`: words of six languages, and their tokenizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xt_jax.mini.tokenizer import train_tokenizer

# text, its words, and one answer in it
SENTENCES = {
    "en": ("Anna's cat (2015) saw it.", "Anna 's cat ( 2015 ) saw it .", "cat"),
    "es": ("¿Dónde está Ana?", "¿ Dónde está Ana ?", "Dónde está"),
    "tr": ("Emre Türkiye'de 7:30 içti.", "Emre Türkiye'de 7:30 içti .", "Türkiye"),
    "ar": ("قرأت مريم كتابا جديدا؟", "قرأت مريم كتابا جديدا ؟", "كتابا"),
    "hi": ("राम दिल्ली में है।", "राम दिल्ली में है ।", "दिल्ली"),
    "zh": ("我喜欢北京，2015年。", "我 喜欢 北京 ， 2015 年 。", "北京"),
}
WORDS = {
    "en": "the red ball gave took saw quickly Anna's under over teacher doctor tea bread 12 a , .",
    "zh": "老师 医生 喜欢 北京 上海 的 在 面包 茶 2015 年 ， 。",
}


@pytest.fixture(scope="module", name="lines")
def lines_of_words() -> list[str]:
    """Lines of words in many orders, with each Chinese word between spaces."""
    rng = np.random.default_rng(0)
    lines = [words for _, words, _ in SENTENCES.values()] * 5
    for words in WORDS.values():
        lines += [" ".join(rng.permutation(words.split())) for _ in range(150)]
    return lines


@pytest.fixture(scope="module", name="folder")
def folder_of_pieces(lines, tmp_path_factory) -> Path:
    return Path(train_tokenizer(lines, tmp_path_factory.mktemp("pieces") / "tokenizer", 300))
