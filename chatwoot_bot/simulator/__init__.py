"""A local stand-in for Chatwoot 4.16 to 4.19, and one for a model server.

It stands in for any bot's Chatwoot, not only for ours: nothing here knows the adapter.

- `server.py` `Simulator`, for tests in Python; `stage.py` what people do in it.
- `control.py` the same over HTTP at /simulator, for tests in any language.
- `terminal.py` the same as typed lines; `script.py` many visitors at once.
- `api.py` and its neighbours: Chatwoot's REST API. `actions.py` what bots may call,
  `user_actions.py` and `contacts.py` what humans may, `administration.py`,
  `webhooks.py` and `catalogue.py` what administrators set up, `platform_api.py`
  platform apps and the customer's side of API inboxes.
- `world.py`, `lifecycle.py`, `saving.py`, `templates.py`: what follows from what.
- `routes.py` and `deliveries.py`: who is told, and how often; `payloads.py`,
  `nested.py` and `forms.py`: in which words.
- `channels.py`, `carrier.py`, `files.py`, `samples.py`: what channels add and carry.
- `releases.py`: what the releases of Chatwoot do differently.
- `faults.py`: everything that can go wrong, on request.
"""

from .llm import ModelStandIn, ToolCall
from .records import Message
from .server import Simulator

__all__ = ["Message", "ModelStandIn", "Simulator", "ToolCall"]
