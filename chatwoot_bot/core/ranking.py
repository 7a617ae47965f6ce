"""Which of the found chunks answer best: BM25 over a title, a heading and a text.

Pure, and the same for both databases, whose own ranks differ.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

# The usual values; a text of as many terms as a full chunk has counts as it is.
K1, B, USUAL_LENGTH = 1.2, 0.5, 90.0
TITLE, HEADING = 3.0, 2.0
# What the part of a word counts of a whole one, and a text in another language.
PART, FOREIGN = 0.5, 0.7
# A word that no document has may still be about one: it counts less than a rare one.
UNKNOWN = 0.5
# In a small collection a word says little by being rare.
FEWEST = 500
# Letters of what may be a compound, and of its parts; of any other stem.
COMPOUND, COMPOUND_PART, STEM = 8, 4, 3
# Reciprocal rank fusion (Cormack et al., 2009). With its authors' 60, to be in both
# lists beats to be the first of one; a meaning says more than words. Measured with
# `tests/real`.
RRF = 10
MEANING = 2.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, as it is looked for.

    Attributes:
        words: once each, in order, as the terms that they may stand for.
        language: that it is in; "" when nothing shows it.
    """

    words: tuple[tuple[str, ...], ...]
    language: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What a chunk holds, and its document's language."""

    title: Sequence[str]
    heading: Sequence[str]
    text: Sequence[str]
    language: str = ""


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


def parts_of(term: str) -> list[str]:
    """Return what else a *term* that no document has may be about, the best first.

    Its beginnings and ends: another form of the word is cut elsewhere, and of a
    compound one part may be known.
    """
    near = max(math.ceil(len(term) * 0.7), STEM)
    compound = len(term) >= COMPOUND
    lengths = range(len(term) - 1, (COMPOUND_PART if compound else near) - 1, -1)
    parts: dict[str, None] = {}
    for length in lengths:
        parts[term[:length]] = None
        if compound:
            parts[term[-length:]] = None
    return list(parts)


class Query:
    """A question, and how rare its words are.

    Args:
        frequencies: in how many chunks each term is, and each part of the words that
            are in none.
        total: how many chunks there are.
    """

    def __init__(
        self, question: Asked, frequencies: Mapping[str, int], total: int
    ) -> None:
        self._total = max(total, FEWEST)
        self._frequencies = frequencies
        self._language = question.language
        self._weights: dict[str, float] = {}
        # Of each word the terms that are known; none for a word that is not.
        self._words = [list(self._known(word)) for word in question.words]
        self._weight = sum(map(self._weight_of, self._words))

    def _known(self, word: Iterable[str]) -> Iterator[str]:
        """Yield what is known of a word, and note what it says."""
        whole = [term for term in word if self._frequencies.get(term)]
        for term in whole:
            self._weights[term] = self._idf(self._frequencies[term])
            yield term
        if whole:
            return
        for term in word:
            parts = (each for each in parts_of(term) if self._frequencies.get(each))
            if part := next(parts, None):
                weight = PART * self._idf(self._frequencies[part])
                self._weights.setdefault(part, weight)
                yield part

    def weights(self, most_chunks: int) -> dict[str, float]:
        """Return term → weight of those to look for, the rarest first.

        Args:
            most_chunks: they may find together; the commonest are left out, and only
                rank what the others have found.
        """
        chosen: dict[str, float] = {}
        found = 0
        for term in sorted(self._weights, key=self._frequencies.__getitem__):
            found += self._frequencies[term]
            if chosen and found > most_chunks:
                break
            chosen[term] = self._weights[term]
        return chosen

    def rank(self, chunks: Mapping[int, Terms]) -> list[Ranked]:
        """Return *chunks* with the best one first."""
        ranked = [self._judge(chunk_id, terms) for chunk_id, terms in chunks.items()]
        return sorted(ranked, key=lambda one: (-one.score, one.chunk_id))

    def _judge(self, chunk_id: int, terms: Terms) -> Ranked:
        counts = self._counts(terms)
        length = 1 - B + B * len(terms.text) / USUAL_LENGTH
        score = covered = 0.0
        for word in self._words:
            found = [term for term in word if term in counts]
            if found:
                score += max(self._bm25(counts[t], t, length) for t in found)
                covered += self._weight_of(found)
        foreign = self._language and terms.language not in ("", self._language)
        share = FOREIGN if foreign else 1.0
        return Ranked(
            chunk_id, share * score, share * covered / self._weight if covered else 0.0
        )

    def _counts(self, terms: Terms) -> dict[str, float]:
        """Return how often each term of the question is there, weighted by where."""
        counts: defaultdict[str, float] = defaultdict(float)
        for part, factor in (
            (terms.title, TITLE),
            (terms.heading, HEADING),
            (terms.text, 1.0),
        ):
            for term in part:
                if term in self._weights:
                    counts[term] += factor
        return counts

    def _bm25(self, count: float, term: str, length: float) -> float:
        return self._weights[term] * count * (K1 + 1) / (count + K1 * length)

    def _weight_of(self, word: Sequence[str]) -> float:
        if not word:
            return UNKNOWN * self._idf(0)
        return max(self._weights[term] for term in word)

    def _idf(self, count: int) -> float:
        rest = max(self._total - count, 0)
        return math.log(1 + (rest + 0.5) / (count + 0.5))


def fused(
    *, by_words: Sequence[int], by_meaning: Sequence[int]
) -> list[tuple[int, float]]:
    """Return (chunk, score) of what is in either ranking, the best first.

    By reciprocal rank fusion: places are compared, because scores cannot be.
    """
    scores: defaultdict[int, float] = defaultdict(float)
    for ranking, weight in ((by_words, 1.0), (by_meaning, MEANING)):
        for place, chunk_id in enumerate(ranking, 1):
            scores[chunk_id] += weight / (RRF + place)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))
