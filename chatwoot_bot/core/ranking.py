"""Which of the found chunks answer best: BM25 over a title, a heading and a text.

Pure, and the same for both databases, whose own ranks differ.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# The usual values; a text of as many terms as a full chunk has counts as it is.
K1, B, USUAL_LENGTH = 1.2, 0.5, 90.0
TITLE, HEADING = 3.0, 2.0
# Reciprocal rank fusion, with the constant of its authors (Cormack et al., 2009).
RRF = 60
# In a small collection a word says little by being rare.
FEWEST = 500


@dataclass(frozen=True, slots=True)
class Terms:
    """What a chunk holds."""

    title: Sequence[str]
    heading: Sequence[str]
    text: Sequence[str]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A chunk and how it fits.

    Attributes:
        score: to compare with others of the same question only.
        coverage: how much of the question is in the chunk, by what its words say;
            from 0 to 1.
    """

    chunk_id: int
    score: float
    coverage: float


class Query:
    """A question as its words.

    Args:
        words: each as the terms it may stand for.
        frequencies: in how many chunks each term is; those in none may be left out.
        total: how many chunks there are.
    """

    def __init__(
        self,
        words: Iterable[Sequence[str]],
        frequencies: Mapping[str, int],
        total: int,
    ) -> None:
        total = max(total, FEWEST)
        self._idf = {
            term: _idf(count, total) for term, count in frequencies.items() if count
        }
        self._unknown = _idf(0, total)
        self._frequencies = frequencies
        self._words = list(words)
        self._weight = sum(map(self._weight_of, self._words))

    def weights(self, most_chunks: int) -> dict[str, float]:
        """Return term → weight of those to look for, the rarest first.

        Args:
            most_chunks: they may find together; the commonest are left out, and only
                rank what the others have found.
        """
        chosen: dict[str, float] = {}
        found = 0
        for term in sorted(self._idf, key=self._frequencies.__getitem__):
            found += self._frequencies[term]
            if chosen and found > most_chunks:
                break
            chosen[term] = self._idf[term]
        return chosen

    def rank(self, chunks: Mapping[int, Terms]) -> list[Ranked]:
        """Return *chunks* with the best one first."""
        ranked = [self._judge(chunk_id, terms) for chunk_id, terms in chunks.items()]
        return sorted(ranked, key=lambda one: (-one.score, one.chunk_id))

    def _judge(self, chunk_id: int, terms: Terms) -> Ranked:
        counts: defaultdict[str, float] = defaultdict(float)
        for part, factor in (
            (terms.title, TITLE),
            (terms.heading, HEADING),
            (terms.text, 1.0),
        ):
            for term in part:
                if term in self._idf:
                    counts[term] += factor
        length = 1 - B + B * len(terms.text) / USUAL_LENGTH
        score = covered = 0.0
        for word in self._words:
            score += max((self._bm25(counts[t], t, length) for t in word), default=0.0)
            if any(counts[term] for term in word):
                covered += self._weight_of(word)
        return Ranked(chunk_id, score, covered / self._weight if self._weight else 0.0)

    def _bm25(self, count: float, term: str, length: float) -> float:
        if not count:
            return 0.0
        return self._idf[term] * count * (K1 + 1) / (count + K1 * length)

    def _weight_of(self, word: Sequence[str]) -> float:
        return max((self._idf.get(term, 0.0) for term in word), default=0.0) or (
            self._unknown
        )


def _idf(count: int, total: int) -> float:
    return math.log(1 + (max(total, count) - count + 0.5) / (count + 0.5))


def fused(*rankings: Sequence[int]) -> list[tuple[int, float]]:
    """Return (chunk, score) of what is in any of *rankings*, the best first.

    By reciprocal rank fusion: places are compared, because scores cannot be.
    """
    scores: defaultdict[int, float] = defaultdict(float)
    for ranking in rankings:
        for place, chunk_id in enumerate(ranking, 1):
            scores[chunk_id] += 1 / (RRF + place)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))
