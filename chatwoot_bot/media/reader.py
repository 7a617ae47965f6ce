"""Find out what the contact has sent, before the model is asked.

Pictures become data that the model sees, voice notes become words, files become
text. What cannot be had becomes a sentence that says why: nothing here fails a turn.
"""

import asyncio
import base64
import dataclasses
from collections.abc import Awaitable, Callable, Sequence

import structlog

from ..core.attachments import replaced, with_problem, with_words
from ..core.conversation import Attachment, Message, Sender
from ..errors import MediaError
from . import kinds
from .fetch import Fetcher
from .reading import FileReader
from .transcribe import Transcriber

log = structlog.get_logger(__name__)

Keep = Callable[[Message], Awaitable[None]]

# For one turn; the contact is waiting.
WHOLE_S = 30.0
# For what an earlier turn could not read: a host that is down costs every turn.
AGAIN_S = 3.0
# A new file may be stored a moment later; an old one is there or is not.
PATIENCE_S = 10.0
FILES_MAX = 8
IMAGES_MAX = 4
# Pictures are fetched again for every turn, so only while they are talked about.
IMAGES_OF_LAST = 12

# The message's and the attachment's place in the transcript.
Place = tuple[int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class _Found:
    """What became of an attachment; only what is final may be kept."""

    attachment: Attachment
    final: bool


class MediaReader:
    """Reads the attachments of a transcript.

    Args:
        transcriber: None when voice notes are not transcribed.
    """

    def __init__(
        self, fetcher: Fetcher, files: FileReader, transcriber: Transcriber | None
    ) -> None:
        self._fetcher = fetcher
        self._files = files
        self._transcriber = transcriber

    async def read(
        self, transcript: Sequence[Message], keep: Keep
    ) -> Sequence[Message]:
        """Return *transcript* with what its attachments say, the newest first read.

        It takes `WHOLE_S` at most. Cancelling it stops every download.

        Args:
            keep: stores a message whose attachments need not be read again.

        Raises:
            Exception: whatever *keep* raises.
        """
        places = self._wanted(transcript)
        if not places:
            return transcript
        found = await self._find(transcript, places)
        messages = list(transcript)
        for number in sorted({number for number, _ in places}):
            here = {k: found[number, k] for m, k in places if m == number}
            messages[number] = _with(messages[number], here)
            final = {k: each for k, each in here.items() if each.final}
            kept = _with(transcript[number], final)
            if kept != transcript[number]:
                await keep(kept)
        return messages

    def _wanted(self, transcript: Sequence[Message]) -> list[Place]:
        """Return what is worth reading, the newest first."""
        places: list[Place] = []
        images = 0
        for number in reversed(range(len(transcript))):
            message = transcript[number]
            if message.sender is not Sender.CONTACT or message.content is None:
                continue
            recent = number >= len(transcript) - IMAGES_OF_LAST
            for place, attachment in enumerate(message.attachments):
                is_image = attachment.kind == "image"
                if not self._is_unread(attachment) or (
                    is_image and (not recent or images == IMAGES_MAX)
                ):
                    continue
                images += is_image
                places.append((number, place))
        return places[:FILES_MAX]

    def _is_unread(self, attachment: Attachment) -> bool:
        if attachment.kind == "audio" and not self._listens:
            return False
        return (
            attachment.url is not None
            and attachment.text is None
            and attachment.problem is None
        )

    @property
    def _listens(self) -> bool:
        return self._transcriber is not None and self._transcriber.is_available

    async def _find(
        self, transcript: Sequence[Message], places: Sequence[Place]
    ) -> dict[Place, _Found]:
        tasks = {
            (number, place): asyncio.create_task(
                self._one(
                    transcript[number].attachments[place], new=transcript[number].owed
                )
            )
            for number, place in places
        }
        try:
            await asyncio.wait(tasks.values())
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.wait(tasks.values())
        found = {place: task.result() for place, task in tasks.items()}
        return _fewer_images(found, self._fetcher.max_bytes)

    async def _one(self, attachment: Attachment, *, new: bool) -> _Found:
        try:
            async with asyncio.timeout(WHOLE_S if new else AGAIN_S):
                return await self._read(attachment, new=new)
        except TimeoutError:
            error = MediaError("it takes too long", retryable=True)
        except MediaError as media_error:
            error = media_error
        except Exception:  # a stranger's file must not cost the answer
            log.exception("attachment not read", kind=attachment.kind)
            error = MediaError("something went wrong", retryable=True)
        log.info("attachment not read", kind=attachment.kind, reason=str(error))
        return _Found(with_problem(attachment, str(error)), not error.retryable)

    async def _read(self, attachment: Attachment, *, new: bool) -> _Found:
        """Fetch *attachment* and make of it what it really is.

        Raises:
            MediaError: it says nothing to us.
        """
        if (attachment.size or 0) > self._fetcher.max_bytes:
            raise self._fetcher.too_large()
        data = await self._fetcher.fetch(
            attachment.url or "", patience_s=PATIENCE_S if new else 0.0
        )
        kind = await asyncio.to_thread(kinds.kind_of, data)
        if kind in kinds.IMAGES:
            image = await asyncio.to_thread(_data_url, kind, data)
            return _Found(dataclasses.replace(attachment, image=image), final=False)
        if attachment.kind == "image":
            raise MediaError("it is not a picture that can be shown")
        if attachment.kind == "audio" or kind in kinds.AUDIO:
            return _Found(with_words(attachment, await self._hear(data)), final=True)
        text = await self._files.read(data)
        return _Found(dataclasses.replace(attachment, text=text), final=True)

    async def _hear(self, data: bytes) -> str:
        if self._transcriber is None or not self._listens:
            raise MediaError("nobody can listen to it now", retryable=True)
        return await self._transcriber.transcribe(data)


def _data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _fewer_images(found: dict[Place, _Found], max_bytes: int) -> dict[Place, _Found]:
    """Leave out pictures beyond number and size together, the newest first kept.

    Servers refuse a request that is too large as a whole.
    """
    kept, size, images = {}, 0, 0
    for place, each in found.items():
        image = each.attachment.image
        if image is not None:
            images += 1
            size += len(image)
            # Base64 has four characters for three bytes.
            if images > IMAGES_MAX or size > max_bytes * 4 // 3 + 100:
                each = _Found(dataclasses.replace(each.attachment, image=None), False)
        kept[place] = each
    return kept


def _with(message: Message, found: dict[int, _Found]) -> Message:
    """Return *message* with what was found in some of its attachments."""
    if not found:
        return message
    attachments = list(message.attachments)
    for place, each in found.items():
        attachments[place] = each.attachment
    return replaced(message, attachments)
