"""What doctor says of the knowledge base."""

from chatwoot_bot.doctor.findings import Level
from chatwoot_bot.doctor.knowledge import check_knowledge
from chatwoot_bot.settings import Settings
from chatwoot_bot.store.condition import Condition


def check(documents=0, **variables):
    settings = Settings.load({name: str(value) for name, value in variables.items()})
    return check_knowledge(settings, Condition(exists=True, documents=documents))


def test_documents_are_counted(tmp_path):
    finding = check(12, KNOWLEDGE_DIR=tmp_path, OPENAI_API_KEY="sk-1")

    assert (finding.level, finding.message) == (Level.OK, "12 documents")


def test_documents_are_of_no_use_without_a_model(tmp_path):
    finding = check(12, KNOWLEDGE_DIR=tmp_path)

    assert (finding.level, finding.setting) == (Level.WARN, "OPENAI_API_KEY")


def test_folder_without_documents_is_shown(tmp_path):
    finding = check(KNOWLEDGE_DIR=tmp_path)

    assert (finding.level, finding.setting) == (Level.WARN, "KNOWLEDGE_DIR")


def test_bot_s_folder_that_is_not_there_is_named(tmp_path):
    bots = tmp_path / "bots.toml"
    bots.write_text("[[bots]]\ninboxes = [3]\nknowledge = 'texts'\n")
    finding = check(BOTS_FILE=bots)

    assert finding.level is Level.WARN
    assert "texts" in finding.message


def test_nobody_needs_a_knowledge_base():
    assert check().level is Level.OK
