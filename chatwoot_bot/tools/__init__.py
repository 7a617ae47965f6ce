"""What the model may do in a turn besides speaking."""

from .base import Call, Effect, Result, Source, Tool, ToolError
from .operator import tool

__all__ = ["Call", "Effect", "Result", "Source", "Tool", "ToolError", "tool"]
