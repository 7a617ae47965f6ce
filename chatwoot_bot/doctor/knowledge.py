"""What the bot knows: the folders are there, and documents are known."""

from ..knowledge.folder import named as names_of
from ..knowledge.folder import passed_over
from ..library import folders
from ..settings import Settings
from ..store.condition import Condition
from .findings import Finding, ok, skip, warn

CHECK = "knowledge"


def check_knowledge(settings: Settings, condition: Condition | None) -> Finding:
    """Say how much is known, and which folder is not there."""
    named = [folder for _, folder in folders(settings)]
    missing = [str(folder) for folder in named if not folder.is_dir()]
    if missing:
        return warn(
            CHECK,
            f"there is no folder {', '.join(missing)}",
            setting="BOTS_FILE",
            mend="make it, or name another one in the bot's knowledge",
        )
    if condition is None:
        return skip(CHECK, "the database cannot be read")
    if not condition.documents and named:
        return warn(
            CHECK,
            "no document is known yet",
            setting="KNOWLEDGE_DIR",
            mend="put Markdown, text, HTML, PDF, DOCX or CSV files there, and restart "
            "the service",
        )
    without_model = all(bot.settings.responder_name == "mock" for bot in settings.bots)
    if condition.documents and without_model:
        return warn(
            CHECK,
            f"{condition.documents} documents, and no model that answers from them",
            setting="OPENAI_API_KEY",
            mend="set it, or GROQ_API_KEY, OPENROUTER_API_KEY or OLLAMA_MODEL",
        )
    count = condition.documents
    message = "1 document" if count == 1 else f"{count} documents"
    if others := [path for folder in named for path in passed_over(folder)]:
        message += f"; passed over, of another kind: {names_of(others)}"
    return ok(CHECK, message)
