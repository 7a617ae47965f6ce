"""`bots.example.toml`, as it is: a test holds that it shows every key."""

from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "bots.example.toml"


def text() -> str:
    """Return the file as a block of code."""
    return f"```toml\n{EXAMPLE.read_text('utf-8').strip()}\n```"
