"""Rich's console, which shows control characters instead of obeying them."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from ..core.text import visible


class VisibleConsole(Console):
    """The console of the commands; see `terminal`."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Show them before the width is measured."""
        return super().render_str(visible(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Show those of what was no `str`, such as a `Text`; colours come later."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)
