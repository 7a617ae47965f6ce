"""`python -m chatwoot_bot`."""

from .cli import main

main()
