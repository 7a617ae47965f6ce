"""Attachments in words, and as they are stored."""

from factories import message

from chatwoot_bot.core import attachments
from chatwoot_bot.core.conversation import Attachment

VOICE = Attachment(kind="audio", line="[audio]", url="https://x/1", size=9)
PHOTO = Attachment(kind="image", line="[image]", url="https://x/2")


def test_what_is_stored_comes_back():
    """The next turn, or the next process, knows what this one knew."""
    known = (attachments.with_words(VOICE, "Grüße"), PHOTO)

    assert attachments.load(attachments.dump(known)) == known


def test_nothing_is_stored_for_nothing():
    """Most messages have no attachment."""
    assert attachments.dump(()) is None


def test_pictures_are_not_stored():
    """They are Chatwoot's to keep, and large."""
    seen = Attachment(kind="image", line="[image]", image="data:image/png;base64,AA")

    assert "AA" not in attachments.dump([seen])
    assert "AA" not in repr(seen)


def test_row_of_a_later_release_can_be_read():
    """After going back to this one."""
    stored = '[{"kind": "image", "line": "[image]", "colour": "red"}]'

    assert attachments.load(stored) == (Attachment(kind="image", line="[image]"),)


def test_words_of_a_voice_note_become_the_messages():
    """The page, the keywords and every model read what was said."""
    sent = message("Listen:\n[audio]\n[image]", attachments=(VOICE, PHOTO))

    heard = attachments.replaced(sent, [attachments.with_words(VOICE, "Hi"), PHOTO])

    assert heard.content == "Listen:\n[audio: Hi]\n[image]"
    assert [each.text for each in heard.attachments] == ["Hi", None]


def test_what_cannot_be_read_says_why():
    """The model can ask for another one."""
    sent = message("[image]", attachments=(PHOTO,))
    broken = attachments.with_problem(PHOTO, "it is too large")

    assert (
        attachments.replaced(sent, [broken]).content
        == "[image, not readable because it is too large]"
    )


def test_edited_text_is_left_alone():
    """Who has changed the message meant it."""
    edited = message("Never mind.", attachments=(VOICE,))

    heard = attachments.replaced(edited, [attachments.with_words(VOICE, "Hi")])

    assert heard.content == "Never mind."
    assert attachments.replaced(message(None, attachments=(VOICE,)), ()).content is None
