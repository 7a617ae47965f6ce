"""Statements made once: SQLAlchemy takes longer to make one than SQLite to run it."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import sqlalchemy as sa


def change(
    tx: sa.Connection, table: sa.Table, where: Mapping[str, Any], **values: Any
) -> int:
    """Set *values* in the rows whose columns equal *where*; return how many."""
    statement = _update(table, tuple(where), tuple(values))
    parameters = {f"is_{name}": value for name, value in where.items()}
    parameters |= {f"new_{name}": value for name, value in values.items()}
    return tx.execute(statement, parameters).rowcount


@lru_cache
def _update(
    table: sa.Table, where: tuple[str, ...], values: tuple[str, ...]
) -> sa.Update:
    new: dict[str, Any] = {
        name: sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in values
    }
    return (
        sa.update(table)
        .where(*(table.c[name] == sa.bindparam(f"is_{name}") for name in where))
        .values(new)
    )
