"""Lists what ../shared/data contains, as its README says."""

from __future__ import annotations

# language:examples, `*` a substitute, in the order in which they are found.
SHARED = {
    "mnli train": "en:2886",
    "mnli dev": "en:500",
    "snli train": "en:1536",
    "snli dev": "en:493",
    "anli_r1 train": "en:1000*",
    "anli_r1 dev": "en:1000",
    "anli_r1 test": "en:200",
    "anli_r2 train": "en:1000*",
    "anli_r2 dev": "en:1000",
    "anli_r2 test": "en:200",
    "anli_r3 train": "en:1200*",
    "anli_r3 dev": "en:1200",
    "anli_r3 test": "en:200",
    "qqp train": "en:7000",
    "qqp dev": "en:600",
    "squad train": "en:269 en:2282*",
    "squad dev": "en:810",
    "squad_v2 train": "en:4719",
    "squad_v2 dev": "en:1407",
    "hellaswag train": "en:2800",
    "hellaswag dev": "en:700",
    "cosmos_qa train": "en:2000*",
    "cosmos_qa dev": "en:2000",
    "commonsense_qa train": "en:4500",
    "commonsense_qa dev": "en:800",
    "commonsense_qa test": "en:100",
    "ccg train": "en:2000*",
    "ccg dev": "en:400*",
    "ccg test": "en:200*",
    "xnli train": "en:2886",
    "xnli dev": "ar bg de el en es fr hi ru sw th tr ur vi zh :600",
    "xnli test": "de en sw :150",
    "pawsx train": "en:4 en:3000*",
    "pawsx dev": "de:600 en:600 en:4 es fr ja ko zh :600",
    "pawsx test": "de:600 de:200 en:4 en:200",
    "udpos train": "en:4500 kk:31",
    "udpos dev": "af ar bg de el :150 en:400 en:150 es et eu fa fi :150 fr:150 fr:60 he:150 he:60 "
    "hi hu id it ja ko :150 mr:46 nl pt ru :150 ta:80 te:131 tr ur vi zh :150",
    "udpos test": "af:50 ar:40 ar:50 bg:50 de:40 de:50 el en es et eu fa fi fr he hi hu id it :50 "
    "ja:50 kk:150 kk:50 ko:50 mr:47 nl pt ru :50 ta:60 ta:50 te:50 th:150 th:50 tl:55 tl:50 "
    "tr ur vi :50 yo:100 yo:50 zh:40 zh:50",
    "panx train": "en:6000",
    "panx dev": "af ar bg bn de el :300 en:1000 es et eu fa fi fr he hi hu id it :300 ja:150 "
    "jv:100 ka kk ko ml mr ms :300 my:100 nl pt ru sw ta te tl tr ur vi :300 yo:100 zh:150",
    "panx test": "en sw th :100",
    "xquad test": "ar de el en es hi ru th tr vi zh :298",
    "mlqa dev": "ar:120 de:122 en:120 es:120 hi:121 vi:128 zh:120",
    "mlqa_cross dev": "de-es:60 en-de:60",
    "mlqa_cross test": "de-es:40",
    "tydiqa train": "en:1400 sw:150",
    "tydiqa dev": "en:300",
    "tydiqa test": "ar:100 bn:100 en:300 fi id ko ru sw te :100",
    "bucc dev": "zh:22213",
    "tatoeba test": "af ar bg bn de el es et eu fa fi fr he hi hu id it ja :1000 jv:205 ka:746 "
    "kk:575 ko:1000 ml:687 mr nl pt ru :1000 sw:390 ta:307 te:234 th:548 tl tr ur vi zh :1000",
}


def spelled(table: str) -> list[str]:
    """Returns ["de:5", "en:5"] for "de en :5"."""
    items: list[str] = []
    waiting: list[str] = []
    for item in table.split():
        if item.startswith(":"):
            items, waiting = [*items, *(language + item for language in waiting)], []
        elif ":" in item:
            items.append(item)
        else:
            waiting.append(item)
    return items
