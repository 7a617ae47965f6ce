"""Texts that make a careless regular expression slow, made from the expression."""

import itertools
import re
import time
from re import _constants as codes
from re import _parser as parser

LENGTH = 64_000
LIMIT_S = 0.05
# One that backtracks shows at a length at which it still ends.
LENGTHS = (24, 500, 2_000, 8_000, LENGTH)
TRIES = 8
# Times the limit: that was no busy machine.
HOPELESS = 10
# At the end, what most expressions do not take: it sends them all the way back.
TAIL = "\0"
BLANKS = (" ", "\n", "\t", "\r\n")
CATEGORIES = {
    codes.CATEGORY_DIGIT: "0",
    codes.CATEGORY_NOT_DIGIT: "x",
    codes.CATEGORY_SPACE: " ",
    codes.CATEGORY_NOT_SPACE: "x",
    codes.CATEGORY_WORD: "x",
    codes.CATEGORY_NOT_WORD: "!",
}
REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
LOOKS = (codes.ASSERT, codes.ASSERT_NOT)
SEEDS_MAX = 6


def literals(pattern: re.Pattern) -> list[str]:
    """Return what *pattern* names: words, characters, a few of each class.

    Of characters that no part of it tells apart there is only the first.
    """
    tree = parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    words, characters, sets = [], ["x", "!"], []
    _collect(tree, words, characters, sets)
    apart = {}
    for character in dict.fromkeys(characters):
        apart.setdefault(_signature(character, sets, pattern.flags), character)
    return list(dict.fromkeys([*words, *apart.values()]))


def _collect(tree, words, characters, sets):
    run = ""
    for code, value in tree:
        if code is codes.LITERAL:
            run += chr(value)
            sets.append([(code, value)])
            continue
        words += [run] * bool(run)
        run = ""
        if code is codes.NOT_LITERAL:
            characters.append(chr(value))
            sets.append([(codes.LITERAL, value)])
        elif code is codes.IN:
            characters += _samples(value)
            sets.append([item for item in value if item[0] is not codes.NEGATE])
        else:
            for inner in _inner(code, value):
                _collect(inner, words, characters, sets)
    words += [run] * bool(run)


def _samples(items):
    for code, value in items:
        if code is codes.LITERAL:
            yield chr(value)
        elif code is codes.RANGE:
            yield chr(value[0])
        elif code is codes.CATEGORY:
            yield CATEGORIES[value]


def _inner(code, value):
    if code in REPEATS:
        return [value[2]]
    if code is codes.BRANCH:
        return value[1]
    if code is codes.SUBPATTERN:
        return [value[3]]
    if code in LOOKS:
        return [value[1]]
    if code is codes.ATOMIC_GROUP:
        return [value]
    return []


def _signature(character, sets, flags):
    forms = {character}
    if flags & re.IGNORECASE:
        forms |= {character.lower(), character.upper()}
    general = (
        character.isspace(),
        character.isdigit(),
        character.isalnum() or character == "_",
        character == "\n",
    )
    return general, tuple(any(_holds(s, form) for form in forms) for s in sets)


def _holds(items, character):
    for code, value in items:
        if code is codes.LITERAL and chr(value) == character:
            return True
        if code is codes.RANGE and value[0] <= ord(character[0]) <= value[1]:
            return True
        if code is codes.CATEGORY and CATEGORIES[value] == character:
            return True
    return False


def seeds(pattern: re.Pattern) -> list[str]:
    """Return a few short texts that *pattern* matches, as far as that can be told."""
    tree = parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    return list(dict.fromkeys(_texts(tree, {})))[:SEEDS_MAX]


def _texts(tree, groups):
    texts = [""]
    for code, value in tree:
        steps = [each or "" for each in _step(code, value, groups)]
        pairs = itertools.product(texts, steps)
        texts = ["".join(pair) for pair in itertools.islice(pairs, SEEDS_MAX)]
    return texts


def _step(code, value, groups):
    match code:
        case codes.LITERAL:
            return [chr(value)]
        case codes.NOT_LITERAL | codes.ANY:
            return ["x"]
        case codes.IN if value[0][0] is codes.NEGATE:
            return ["x"]
        case codes.IN:
            return list(itertools.islice(_samples(value), 2))
        case codes.BRANCH:
            return [text for branch in value[1] for text in _texts(branch, groups)[:2]]
        case codes.GROUPREF:
            return [groups.get(value, "")]
    return _inside(code, value, groups)


def _inside(code, value, groups):
    if code in LOOKS or not (inner := _inner(code, value)):
        return [""]
    found = _texts(inner[0], groups)
    if code is codes.SUBPATTERN:
        groups[value[0]] = found[0]
    # At least once, or what is repeated would never be seen.
    return [text * max(value[0], 1) for text in found] if code in REPEATS else found


def texts(pattern: re.Pattern):
    """Yield (head, unit, tail, uses): a hostile text is the unit over and over."""
    units = list(dict.fromkeys([*literals(pattern), *BLANKS]))
    for unit, tail in itertools.product(units, ("", TAIL)):
        yield "", unit, tail, USES
    single = [unit for unit in units if len(unit) == 1]
    heads = list(
        dict.fromkeys(
            seed[:end] for seed in seeds(pattern) for end in range(1, len(seed) + 1)
        )
    )
    # A long seed's middle says little more than its two ends.
    chosen = heads if len(heads) <= 16 else [*heads[:8], *heads[-8:]]
    for head, unit in itertools.product(chosen, single):
        yield head, unit, TAIL, WHOLE
    for one, other in itertools.permutations(units, 2):
        yield "", one + other, TAIL, WHOLE


def slowest(pattern: re.Pattern) -> tuple[float, str, int]:
    """Return the longest time of one use of *pattern*, on what, and at which length."""
    worst = (0.0, "", 0)
    for head, unit, tail, uses in texts(pattern):
        for length in LENGTHS if uses is USES else LENGTHS[2:]:
            text = (head + unit * (length // len(unit) + 1))[:length] + tail
            if isinstance(pattern.pattern, bytes):
                text = text.encode("latin-1")
            for use in uses:
                took = best(use, pattern, text)
                if took > worst[0]:
                    worst = (took, f"{head!r} + {unit!r} * n + {tail!r}", length)
                if took > LIMIT_S:
                    return worst
    return worst


def best(use, *args, limit_s: float = LIMIT_S) -> float:
    """Return the seconds that *use* takes: the best of eight, if the first is slow.

    Of this thread's own time, which a busy neighbour on the same core still stretches.
    """
    times: list[float] = []
    for _ in range(TRIES):
        begun = time.thread_time()
        use(*args)
        times.append(time.thread_time() - begun)
        if not limit_s < times[-1] < HOPELESS * limit_s:
            break
    return min(times)


def _match(pattern, text):
    pattern.match(text)


def _fullmatch(pattern, text):
    pattern.fullmatch(text)


def _search(pattern, text):
    pattern.search(text)


def _finditer(pattern, text):
    for _ in pattern.finditer(text):
        pass


def _sub(pattern, text):
    pattern.sub(text[:0], text)


USES = (_match, _fullmatch, _search, _finditer, _sub)
# Their work is in these two: from the beginning to the end, and from everywhere.
WHOLE = (_fullmatch, _sub)
