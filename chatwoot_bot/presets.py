"""Servers of models that one setting selects.

`OPENAI_API_KEY` goes before all of them. A key is for its own server and for nobody
else, so `OPENAI_BASE_URL` goes before a preset with a key; of one without, it is the
address.
"""

from collections.abc import Sequence
from dataclasses import dataclass

# Until when each of them exists is in `docs/connect/models.md`.
OPENAI_MODEL = "gpt-6-luna"
OPENAI_TRANSCRIPTION_MODEL = "gpt-transcribe"
# What .env.example had as well: no names at other servers.
OPENAI_MODELS = frozenset({OPENAI_MODEL, "gpt-4o-mini"})
OPENAI_TRANSCRIPTION_MODELS = frozenset({OPENAI_TRANSCRIPTION_MODEL, "whisper-1"})
# As servers of one's own call what listens.
COMMON_TRANSCRIPTION_MODEL = "whisper-1"
GROQ_BASE_URL = "https://api.groq.com/openai/v1"
GROQ_MODEL = "openai/gpt-oss-120b"
GROQ_TRANSCRIPTION_MODEL = "whisper-large-v3-turbo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One server.

    Attributes:
        setting: the field that selects it, and holds its key; or, where there is no
            key, the name of the model.
        name: as people know it.
        model: asked when `OPENAI_MODEL` says nothing; None for what `setting` says.
        transcription: listens to voice notes; None for a server that cannot.
        key_path: where the server tells about a key, if its `/models` are for anybody.
    """

    setting: str
    name: str
    base_url: str
    model: str | None
    transcription: str | None = None
    key_path: str | None = None

    @property
    def has_key(self) -> bool:
        """Whether a provider runs the server, which then needs a key."""
        return self.model is not None


# The first that is set is in force.
PRESETS: Sequence[Preset] = (
    Preset(
        setting="groq_api_key",
        name="Groq",
        base_url=GROQ_BASE_URL,
        model=GROQ_MODEL,
        transcription=GROQ_TRANSCRIPTION_MODEL,
    ),
    Preset(
        setting="openrouter_api_key",
        name="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        model="openai/gpt-6-luna",
        key_path="/key",
    ),
    Preset(
        setting="ollama_model",
        name="Ollama",
        base_url="http://127.0.0.1:11434/v1",
        model=None,
    ),
)
