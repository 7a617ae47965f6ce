"""LangGraph's checkpoints in the service's own database; see `store.checkpoints`."""

from collections.abc import Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    writes_sort_key,
)

from ..store import checkpoints
from ..store.checkpoints import Run, Stored, Written
from ..store.engine import Database


class GraphMemory(BaseCheckpointSaver[int]):
    """The memory of one run, which begins with what its head remembered."""

    def __init__(self, db: Database, run: Run) -> None:
        super().__init__()
        self._db = db
        self._run = run

    async def has_begun(self) -> bool:
        """Return whether the run, or what it goes on with, has stored anything."""
        stored = await self._load("", None)
        return stored is not None and stored.run_id == self._run.id

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint, the newest if *config* names none."""
        ns = config["configurable"].get("checkpoint_ns", "")
        stored = await self._load(ns, get_checkpoint_id(config))
        if stored is None:
            return None
        checkpoint, metadata = self.serde.loads_typed((stored.kind, stored.content))
        parent = stored.parent_id
        return CheckpointTuple(
            config=self._config(ns, stored.id),
            checkpoint=checkpoint,
            metadata=metadata,
            parent_config=self._config(ns, parent) if parent else None,
            pending_writes=[
                (each.task_id, each.channel, self._read(each))
                for each in sorted(stored.writes, key=_order)
            ],
        )

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint."""
        ns = config["configurable"].get("checkpoint_ns", "")
        kind, content = self.serde.dumps_typed([checkpoint, metadata])
        await self._db.write(
            checkpoints.put,
            ns=ns,
            stored=Stored(
                run_id=self._run.id,
                id=checkpoint["id"],
                parent_id=get_checkpoint_id(config),
                kind=kind,
                content=content,
            ),
        )
        return self._config(ns, checkpoint["id"])

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store what a task has written."""
        written = []
        for number, (channel, value) in enumerate(writes):
            kind, content = self.serde.dumps_typed(value)
            written.append(
                Written(
                    task_id=task_id,
                    position=WRITES_IDX_MAP.get(channel, number),
                    path=task_path,
                    channel=channel,
                    kind=kind,
                    content=content,
                )
            )
        await self._db.write(
            checkpoints.put_writes,
            self._run.id,
            ns=config["configurable"].get("checkpoint_ns", ""),
            checkpoint_id=config["configurable"]["checkpoint_id"],
            writes=written,
        )

    async def _load(self, ns: str, checkpoint_id: str | None) -> Stored | None:
        return await self._db.read(
            checkpoints.load, self._run, ns=ns, checkpoint_id=checkpoint_id
        )

    def _config(self, ns: str, checkpoint_id: str) -> RunnableConfig:
        return {
            "configurable": {
                "thread_id": self._run.thread_id,
                "checkpoint_ns": ns,
                "checkpoint_id": checkpoint_id,
            }
        }

    def _read(self, written: Written) -> Any:
        return self.serde.loads_typed((written.kind, written.content))


def _order(written: Written) -> tuple[str, str, int]:
    return writes_sort_key(written.path, written.task_id, written.position)
