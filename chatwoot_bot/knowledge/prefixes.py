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
GEMMA = Prefixes("task: search result | query:", "title: none | text:")
# By all that the name must hold, with - for every mark; the special before the general.
KNOWN: tuple[tuple[tuple[str, ...], Prefixes], ...] = (
    (("-e5-", "instruct"), Prefixes(INSTRUCTION)),
    (("qwen3-embedding",), Prefixes(INSTRUCTION)),
    (("-e5-",), Prefixes("query:", "passage:")),
    (("nomic-embed-text",), Prefixes("search_query:", "search_document:")),
    (("modernbert-embed",), Prefixes("search_query:", "search_document:")),
    (("arctic-embed2",), Prefixes("query:")),
    (("arctic-embed", "-v2-"), Prefixes("query:")),
    (("arctic-embed",), Prefixes(RETRIEVAL)),
    (("mxbai-embed",), Prefixes(RETRIEVAL)),
    (("bge-small-en",), Prefixes(RETRIEVAL)),
    (("bge-base-en",), Prefixes(RETRIEVAL)),
    (("bge-large-en",), Prefixes(RETRIEVAL)),
    (("embeddinggemma",), GEMMA),
    (("embedding-gemma",), GEMMA),
)
MARK = re.compile(r"[^a-z0-9]")
# Of a model's name, that is looked at.
MAX_NAME = 200


def prefixes_of(model: str) -> Prefixes:
    """Return what *model* wants; nothing for one that is not known."""
    name = f"-{MARK.sub('-', model[:MAX_NAME].lower())}-"
    found = (said for parts, said in KNOWN if all(part in name for part in parts))
    return next(found, Prefixes())
