"""How near a model says two texts are that have nothing to do with each other.

Models differ: all-MiniLM says 0.04, multilingual-e5 says 0.74. So what counts as near
is measured from there, for each model once, with questions and texts that no company's
documents answer or hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from .embeddings import Embedder, Vector, similarity

# In standard deviations above the floor: a passage that may answer, and one whose words
# alone may not speak for it. Measured with `tests/real`.
NEAR = 3.1
RELATED = 1.8

QUESTIONS = (
    "How do bees make honey?",
    "When was the printing press invented?",
    "What makes a violin sound different from a cello?",
    "Why is the sea salty?",
    "How do I prune an apple tree?",
    "Who painted the ceiling of the chapel?",
    "How fast does a glacier move?",
    "What do owls eat?",
)
TEXTS = (
    "The goalkeeper saved the penalty in the last minute, and the match ended in a "
    "draw.",
    "Knead the dough for ten minutes, let it rise in a warm place and bake it until it "
    "is golden.",
    "The comet can be seen with the naked eye shortly after sunset, low above the "
    "horizon.",
    "The old lighthouse was built of granite and stood through every storm.",
    "Parliament voted on the budget late at night, after a debate of eleven hours.",
    "The patient should rest, drink a lot and take the tablets twice a day.",
    "Sand the wood, apply two thin coats of varnish and let each dry overnight.",
    "The train crosses the valley on a bridge of nineteen arches.",
)


@dataclass(frozen=True, slots=True)
class Floor:
    """What a model says of texts that have nothing to do with each other.

    Attributes:
        mean: similarity, from -1 to 1.
        spread: standard deviation of it.
    """

    # Until they are measured: about those of all-MiniLM.
    mean: float = 0.05
    spread: float = 0.08

    @property
    def near(self) -> float:
        """Return from which similarity on a passage may answer."""
        return self.mean + NEAR * self.spread

    @property
    def related(self) -> float:
        """Return below which similarity the same words mean something else."""
        return self.mean + RELATED * self.spread


async def measure(embedder: Embedder) -> Floor:
    """Ask for the vectors of a few texts, and compare them.

    One by one, which the slowest server manages.

    Raises:
        EmbeddingsError: the server did not give them.
    """
    questions = [(await embedder.questions([text]))[0] for text in QUESTIONS]
    texts = [(await embedder.texts([text]))[0] for text in TEXTS]
    return _floor(questions, texts)


def _floor(questions: Sequence[Vector], texts: Sequence[Vector]) -> Floor:
    found = [similarity(one, other) for one in questions for other in texts]
    return Floor(fmean(found), pstdev(found))
