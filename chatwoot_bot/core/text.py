"""Text that every database takes."""


def storable(text: str) -> str:
    """Join surrogate pairs that came in two chunks; replace what no database takes."""
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined.replace("\x00", "\ufffd")
