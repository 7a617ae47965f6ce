"""What embedding models want before a question and before a document.

They were trained with these words and find much less without them. The texts are those
of the models' cards.
"""

import re
from typing import NamedTuple


class Prefixes(NamedTuple):
    """What stands before each text; "" is nothing."""

    query: str = ""
    document: str = ""


RETRIEVAL = "Represent this sentence for searching relevant passages:"
INSTRUCTION = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the "
    "query\nQuery:"
)
# By what the name holds, the special before the general.
KNOWN = (
    (re.compile(r"e5-.*instruct|qwen3-embedding"), Prefixes(INSTRUCTION)),
    (re.compile(r"(?:^|[^a-z0-9])e5(?:$|[^a-z0-9])"), Prefixes("query:", "passage:")),
    (
        re.compile(r"nomic-embed-text|modernbert-embed"),
        Prefixes("search_query:", "search_document:"),
    ),
    (re.compile(r"arctic-embed.*v2|arctic-embed2"), Prefixes("query:")),
    (re.compile(r"mxbai-embed-(?:large|xsmall)|arctic-embed"), Prefixes(RETRIEVAL)),
    (re.compile(r"bge-(?:small|base|large)-en"), Prefixes(RETRIEVAL)),
    (
        re.compile(r"embedding-?gemma"),
        Prefixes("task: search result | query:", "title: none | text:"),
    ),
)
# Of a model's name, that is looked at.
MAX_NAME = 200


def prefixes_of(model: str) -> Prefixes:
    """Return what *model* wants; nothing for one that is not known."""
    name = model[:MAX_NAME].lower()
    return next((said for known, said in KNOWN if known.search(name)), Prefixes())
