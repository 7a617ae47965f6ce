"""Who holds a conversation: the table and the picture of the transitions."""

from chatwoot_bot.core.conversation import TRANSITIONS

from .tables import code, table

# Centre of each state's box.
BOXES = {"ai": (110, 90), "handover_pending": (490, 90), "human": (300, 250)}
# Each arrow: its beginning, its end, and where its words stand.
LINES = {
    ("ai", "handover_pending"): ((185, 80), (413, 80), (300, 70, "middle")),
    ("handover_pending", "ai"): ((415, 100), (187, 100), (300, 118, "middle")),
    ("ai", "human"): ((95, 112), (223, 242), (145, 195, "end")),
    ("human", "ai"): ((265, 228), (146, 114), (212, 172, "start")),
    ("handover_pending", "human"): ((490, 112), (377, 240), (445, 190, "start")),
}
WIDTH, HEIGHT = 150, 44
INK = "#4f6272"


def arrows() -> dict[tuple[str, str], list[str]]:
    """Return the triggers between each two states that differ."""
    found: dict[tuple[str, str], list[str]] = {}
    for state, row in TRANSITIONS.items():
        for trigger, target in row.items():
            if target is not state:
                found.setdefault((str(state), str(target)), []).append(str(trigger))
    return found


def text() -> str:
    """Return the transitions as a table."""
    rows = (
        (code(begin), ", ".join(code(each) for each in triggers), code(end))
        for (begin, end), triggers in arrows().items()
    )
    return table(("From", "Trigger", "To"), rows)


def picture() -> str:
    """Return the same as an SVG."""
    shapes = [
        *(_arrow(begin, end, triggers) for (begin, end), triggers in arrows().items()),
        *(_box(name, *centre) for name, centre in BOXES.items()),
    ]
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 310" role="img" '
        'font-family="sans-serif" font-size="13">'
        "<title>States of a conversation</title>"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto-start-reverse">'
        f'<path d="M0 0 8 4 0 8z" fill="{INK}"/></marker></defs>'
        '<rect width="640" height="310" fill="#ffffff"/>'
    )
    return "\n".join([head, *shapes, "</svg>", ""])


def _box(name: str, x: int, y: int) -> str:
    return (
        f'<rect x="{x - WIDTH // 2}" y="{y - HEIGHT // 2}" width="{WIDTH}" '
        f'height="{HEIGHT}" rx="8" fill="#e8f1fb" stroke="{INK}"/>'
        f'<text x="{x}" y="{y + 5}" text-anchor="middle">{name}</text>'
    )


def _arrow(begin: str, end: str, triggers: list[str]) -> str:
    (x1, y1), (x2, y2), (x, y, anchor) = LINES[begin, end]
    return (
        f'<path d="M{x1} {y1} {x2} {y2}" stroke="{INK}" marker-end="url(#tip)"/>'
        f'<text x="{x}" y="{y}" text-anchor="{anchor}">{", ".join(triggers)}</text>'
    )
