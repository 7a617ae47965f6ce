"""A responder of one's own. To use it, start the service in this folder.

RESPONDER=own_responder:OpeningHours chatwoot-bot serve
"""

from chatwoot_bot.responders.base import Answer, Assignment, Listener

HOURS = "We are open from Monday to Friday, 9 to 17 o'clock."


class OpeningHours:
    """Tell when the shop is open, and call a human for everything else."""

    async def respond(
        self, assignment: Assignment, listener: Listener | None = None
    ) -> Answer:
        """Answer all that is owed, together."""
        owed = [each.content or "" for each in assignment.transcript if each.owed]
        if "open" in " ".join(owed).lower():
            return Answer(text=HOURS)
        return Answer(text="", handover="It is not about the opening hours.")
