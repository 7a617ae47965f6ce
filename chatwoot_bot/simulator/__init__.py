"""A local stand-in for Chatwoot, and one for a model server."""

from .llm import ModelStandIn, ToolCall
from .records import Message
from .server import Simulator

__all__ = ["Message", "ModelStandIn", "Simulator", "ToolCall"]
