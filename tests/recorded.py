"""What running Chatwoot servers sent and answered: `tests/chatwoot/real`.

One folder per server. A `.json` file is one body; `story.jsonl.gz` holds one long
story, a delivery per line, in the order in which the deliveries arrived.
"""

import functools
import gzip
import json
from dataclasses import dataclass
from pathlib import Path

REAL = Path(__file__).parent / "chatwoot" / "real"
# The recorded server, and the release of the simulator that must behave like it.
RELEASES = {"4.16.2": "4.16", "2026-08-develop": "4.17"}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of the story.

    Attributes:
        step: what a person or the bot did to cause it.
        route: `bot`, `account` or `apiinbox`.
        answered: the status that the recorder gave back.
    """

    n: int
    after_s: float
    step: str
    route: str
    answered: int
    body: dict


def names(server, *, rest=False):
    """Return the names of the recorded webhook bodies, or those of REST."""
    found = sorted(path.stem for path in (REAL / server).glob("*.json"))
    return [name for name in found if name.startswith("rest_") is rest]


def body(server, name):
    """Return one body, parsed, free to be changed."""
    return json.loads((REAL / server / f"{name}.json").read_text())


@functools.cache
def story(server):
    """Return the deliveries of the story in the order in which they arrived."""
    with gzip.open(REAL / server / "story.jsonl.gz", "rt") as lines:
        return tuple(Delivery(**json.loads(line)) for line in lines)
