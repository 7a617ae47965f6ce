"""What a person wrote in a mail, and which mails no person wrote. Pure.

Chatwoot's own parser cuts the quoted history of a mail where it can; a mail that has
nothing but HTML, as Outlook sends it, arrives with all of it. Every rule looks at one
line at a time, so that the work grows with the length of the mail and no faster.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

# Of a mail, whatever follows is hardly what the sender has to say.
MAX_CHARACTERS = 100_000
# A header block is quoted with its lines together.
HEADER_LINES = 6
# Whoever writes more lines than this quotes nothing.
MAX_LINES = 2_000
# Longer lines are no attribution, and no header.
MAX_LINE = 300

# How a quoted header begins, in the languages of the common mail programs.
FROM = (
    "from|von|de|da|van|od|kimden|gönderen|от|от кого|من|发件人|寄件者|från|fra"
    "|lähettäjä|差出人"
)
OTHERS = (
    "sent|date|to|cc|subject|gesendet|datum|an|betreff|envoyé|à|objet|enviado"
    "|enviado el|fecha|para|asunto|data|assunto|inviato|a|oggetto|verzonden|aan"
    "|onderwerp|wysłano"
    "|do|temat|tarih|gönderildi|kime|konu|отправлено|дата|кому|тема|تاريخ|إلى|الموضوع"
    "|发送时间|收件人|主题|寄件日期|收件者|主旨|skickat|till|ämne|sendt|til|emne"
)
HEADER_FROM = re.compile(rf"^[>*\s]{{0,20}}+(?:{FROM})\s?[:：]", re.IGNORECASE)  # noqa: RUF001
HEADER = re.compile(rf"^[>*\s]{{0,20}}+(?:{OTHERS})\s?[:：]", re.IGNORECASE)  # noqa: RUF001
RULER = re.compile(
    r"[>\s]{0,20}+-{2,20}+\s?"
    r"(?:original message|original-nachricht|ursprüngliche nachricht"
    r"|message d'origine|message original|mensaje original|mensagem original"
    r"|messaggio originale|oorspronkelijk bericht|wiadomość oryginalna"
    r"|orijinal mesaj|исходное сообщение|الرسالة الأصلية|原始邮件|forwarded message"
    r"|weitergeleitete nachricht)\s?--",
    re.IGNORECASE,
)
# "On Mon, 20 Jul 2026 at 11:15, Support <…> wrote:", perhaps over two lines.
BEGINS = re.compile(
    r"[>\s]{0,20}+(?:on|am|le|el|em|il|op|w dniu|dnia)\s", re.IGNORECASE
)
ENDS = re.compile(
    r"(?:wrote|schrieb[^:]{0,80}|a écrit|escribió|escreveu|ha scritto|schreef[^:]{0,80}"
    r"|napisał(?:a|\(a\))?|şunu yazdı|пишет|написал(?:а|\(а\))?|كتب|写道)\s?[:：]\s*$",  # noqa: RUF001
    re.IGNORECASE,
)

DIGITS = re.compile(r"\d+")
# How the words of an address are joined is of no matter.
JOINED = re.compile(r"[._+=-]+")
NO_REPLY = (
    r"(?:no|do-?not)-?reply|(?:nicht|keine)-?antwort(?:en)?|ne-?pas-?repondre"
    r"|no-?respond(?:er|a)|nao-?respond(?:er|a)|non-?rispondere"
    r"|(?:niet-?(?:be)?antwoorden|geen-?antwoord)|nie-?odpowiadaj|yanitlama"
)
MACHINE = re.compile(
    rf"\A(?:(?:.{{0,64}}-)?(?:{NO_REPLY})\d{{0,9}}(?:-.{{0,64}})?"
    r"|mailer-daemon|mail-daemon|postmaster|mdaemon"
    r"|bounces?(?:-.{0,64})?|.{0,64}-bounces?(?:-\d{1,9})?)\Z",
    re.IGNORECASE,
)


def own_words(email: Mapping[str, Any], content: str) -> str:
    """Return what the sender wrote, without the history that they quote.

    In Chatwoot's own order: the text part, the HTML part, and only then *content*, in
    which common separators are looked for.

    Args:
        email: of `content_attributes`; docs/chatwoot/payloads.md#channels.
    """
    for name in ("text_content", "html_content"):
        part = email.get(name)
        quoted = part.get("quoted") if isinstance(part, dict) else None
        if isinstance(quoted, str) and quoted.strip():
            return quoted.strip()
    return without_history(content)


def without_history(text: str) -> str:
    """Cut *text* where a quoted mail begins; what would leave nothing stays whole."""
    text = text[:MAX_CHARACTERS]
    lines = text.splitlines()
    for number in range(1, min(len(lines), MAX_LINES)):
        if _begins_history(lines, number):
            own = "\n".join(lines[:number]).strip().rstrip("_").rstrip()
            return own or text.strip()
    return text.strip()


def _begins_history(lines: Sequence[str], number: int) -> bool:
    line = lines[number]
    if len(line) > MAX_LINE:
        return False
    if RULER.match(line):
        return True
    if BEGINS.match(line):
        following = lines[number + 1][:MAX_LINE] if number + 1 < len(lines) else ""
        return any(
            ENDS.search(whole) is not None and ("@" in whole or _has_date(whole))
            for whole in (line, f"{line} {following}")
        )
    if HEADER_FROM.match(line):
        following_lines = lines[number + 1 : number + 1 + HEADER_LINES]
        block = [each for each in following_lines if each.strip()]
        return sum(HEADER.match(each[:MAX_LINE]) is not None for each in block) > 1
    return False


def _has_date(line: str) -> bool:
    return sum(character.isdigit() for character in line) > 2


def is_machine(address: str) -> bool:
    """Return whether an e-mail address takes no replies: no-reply@, mailer-daemon@."""
    local, at, _ = address[:MAX_LINE].strip().rpartition("@")
    return bool(at) and MACHINE.fullmatch(JOINED.sub("-", local)) is not None


def fingerprint(text: str) -> str:
    """Return *text* without what changes from one automatic mail to the next."""
    return " ".join(DIGITS.sub(" ", text[:MAX_CHARACTERS].casefold()).split())
