"""How long taking documents in and searching them takes, at a size few reach.

    python -m bench.knowledge [--postgres] [--chunks 10000] [--vectors]

Documents are made of words that are as unequally frequent as in real ones. While they
are taken in, a task measures how late the event loop is: what a webhook would wait.
With `--vectors` each chunk has one of 1,536 numbers too, and a question is looked for
both ways; the embeddings server is played here, and costs nothing.
"""

import argparse
import asyncio
import itertools
import math
import random
import resource
import statistics
import time
from array import array
from collections.abc import Sequence

from rich.progress import Progress

from bench.postgres import add_options, databases
from chatwoot_bot.knowledge.documents import Kind, Raw
from chatwoot_bot.knowledge.ingest import Given, Ingest
from chatwoot_bot.knowledge.preparer import Preparer
from chatwoot_bot.knowledge.search import Knowledge
from chatwoot_bot.store.engine import Database

SECTIONS = 8
WORDS = 130
VOCABULARY = 30_000
QUESTIONS = 2_000
NUMBERS = 1_536
SYLLABLES = [a + b for a in "bdfgklmnprstvw" for b in ("a", "e", "i", "o", "u", "ei")]
COMMON = ["the", "and", "to", "of", "your", "can", "is", "for", "we", "when", "how"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--vectors", action="store_true")
    options = parser.parse_args()
    with databases(options) as new:
        asyncio.run(measure(new(), options))


async def measure(url: str, options: argparse.Namespace) -> None:
    made = Made(random.Random(1))
    db = Database(url)
    await db.open()
    embedder = PlayedEmbedder() if options.vectors else None
    documents = [made.document(n) for n in range(options.chunks // SECTIONS)]
    late = Lateness()
    async with late, Preparer() as preparer, Ingest(db, preparer) as ingest:
        with Progress() as progress:
            task = progress.add_task("documents", total=len(documents))
            began = time.perf_counter()
            report = await ingest.add(
                "",
                "bench:",
                documents,
                lambda done, total: progress.update(task, completed=done),
            )
            took = time.perf_counter() - began
        print(f"taken in: {report.chunks} chunks in {took:.1f} s")
        print(f"event loop late meanwhile: {late}")
        began = time.perf_counter()
        await ingest.add("", "bench:", documents)
        print(f"again, unchanged: {time.perf_counter() - began:.2f} s")
        if embedder is not None:
            began = time.perf_counter()
            await ingest.embed(embedder)
            print(f"vectors made and kept in {time.perf_counter() - began:.1f} s")
    await search(Knowledge(db, ("",), embedder), made)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory at most: {peak:.0f} MB")
    await db.close()


async def search(knowledge: Knowledge, made: "Made") -> None:
    for _ in range(20):
        await knowledge.search(made.question())
    late = Lateness()
    async with late:
        times, found = [], 0
        for _ in range(QUESTIONS):
            question = made.question()
            began = time.perf_counter()
            found += bool(await knowledge.search(question))
            times.append((time.perf_counter() - began) * 1_000)
    print(f"searches: {QUESTIONS}, {found} found something; ms: {shown(times)}")
    print(f"event loop late meanwhile: {late}")


class Made:
    """Documents and questions about them."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        words = itertools.islice(itertools.product(SYLLABLES, repeat=3), VOCABULARY * 4)
        every = ["".join(parts) for parts in words]
        self._words = chance.sample(every, VOCABULARY)
        # Zipf's law: the n-th word is 1/n as frequent as the first.
        self._weights = list(
            itertools.accumulate(1 / n for n in range(5, VOCABULARY + 5))
        )
        self._texts: list[list[str]] = []

    def _some(self, number: int) -> list[str]:
        return self._chance.choices(self._words, cum_weights=self._weights, k=number)

    def document(self, number: int) -> Given:
        sections = []
        for _ in range(SECTIONS):
            words = self._some(WORDS)
            self._texts.append(words)
            filled = [f"{word} {self._chance.choice(COMMON)}" for word in words]
            heading = " ".join(self._some(3))
            sections.append(f"## {heading}\n\n{' '.join(filled)[:1190]}\n")
        text = "\n".join([f"# {' '.join(self._some(4))}\n", *sections])
        return Given(Raw(uri=f"bench:/{number}", kind=Kind.MARKDOWN, text=text))

    def question(self) -> str:
        """Return five words of one text, and three of any."""
        words = self._chance.sample(self._chance.choice(self._texts)[:80], 5)
        words += [*self._some(3), *self._chance.sample(COMMON, 4)]
        self._chance.shuffle(words)
        return " ".join(words)


class PlayedEmbedder:
    """Gives every text a vector of its own, at once."""

    model = "played"

    async def texts(self, texts: Sequence[str]) -> list[array]:
        return [_vector(text) for text in texts]

    async def question(self, text: str) -> array:
        return _vector(text)


def _vector(text: str) -> array:
    chance = random.Random(text)
    numbers = [chance.random() - 0.3 for _ in range(NUMBERS)]
    length = math.sqrt(sum(number * number for number in numbers))
    return array("f", [number / length for number in numbers])


class Lateness:
    """How late the event loop is while the block lasts."""

    def __init__(self) -> None:
        self._late: list[float] = []

    async def __aenter__(self) -> "Lateness":
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _watch(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.002)
            self._late.append((time.perf_counter() - began - 0.002) * 1_000)

    def __str__(self) -> str:
        return f"ms: {shown(self._late)}"


def shown(times: Sequence[float]) -> str:
    cuts = statistics.quantiles(times, n=100)
    return f"p50 {cuts[49]:.1f}, p99 {cuts[98]:.1f}, longest {max(times):.1f}"


if __name__ == "__main__":
    main()
