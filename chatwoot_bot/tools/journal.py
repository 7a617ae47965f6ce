"""What a turn's tools have changed in the world, on record before and after."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from ..store import effects
from ..store.effects import Entry
from ..store.engine import Database
from ..store.leases import Lease
from .base import Result

_RESULT = TypeAdapter(Result)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """The effects of one turn's conversation; see `store.effects`."""

    db: Database
    lease: Lease
    turn_id: str
    clock: Callable[[], float]

    async def read(self) -> list[Entry]:
        """Return what earlier attempts at this answer have done."""
        return await self.db.glance(effects.unsettled, self.lease)

    async def begin(self, name: str, arguments: str) -> Entry | None:
        """Put an effect on record, or return None if it must not be brought about."""
        return await self.db.write(
            effects.begin,
            self.lease,
            turn_id=self.turn_id,
            name=name,
            arguments=arguments,
            now=self.clock(),
        )

    async def done(self, entry: Entry, result: Result) -> Entry:
        """Note what came of it; its notes go to the agents whatever happens next."""
        entry = replace(entry, result=_RESULT.dump_json(result).decode())
        await self.db.write(
            effects.done,
            self.lease,
            entry,
            turn_id=self.turn_id,
            notes=result.notes,
            now=self.clock(),
        )
        return entry

    async def undone(self, entry: Entry) -> None:
        """Forget one that has certainly not come about."""
        await self.db.write(effects.undone, entry)


def result_of(entry: Entry) -> Result | None:
    """Return the recorded result; None while the outcome is unknown."""
    return None if entry.result is None else _RESULT.validate_json(entry.result)


def told(entries: Sequence[Entry], in_doubt: str) -> list[tuple[Entry, str]]:
    """Return each effect with what the model is told of it."""
    results = [(entry, result_of(entry)) for entry in entries]
    return [(entry, result.text if result else in_doubt) for entry, result in results]
