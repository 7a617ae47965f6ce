"""The metrics, as the Prometheus registry renders them."""

from collections.abc import Iterator
from typing import Any

from prometheus_client.metrics import MetricWrapperBase

from chatwoot_bot.metrics import Metrics

from .tables import code, plain, table

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}


def text() -> str:
    """Return one row for each metric."""
    rows = [
        (
            "<br>".join(code(name) for name in _names(metric)),
            metric._type,
            ", ".join(code(label) for label in metric._labelnames),
            plain(metric._documentation),
        )
        for metric in found()
    ]
    return table(("Name", "Type", "Labels", "Meaning"), rows)


def found() -> Iterator[Any]:
    """Yield what is registered, in the order of the class."""
    for metric in vars(Metrics()).values():
        if isinstance(metric, MetricWrapperBase):
            yield metric


def _names(metric: Any) -> Iterator[str]:
    for suffix in SUFFIXES.get(metric._type, ("",)):
        yield f"{metric._name}{suffix}"
