"""An AI assistant in front of a Chatwoot inbox."""

__version__ = "0.1.0"
