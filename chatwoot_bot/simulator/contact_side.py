"""What the contact does: write, send files, answer forms, read, come and go."""

import base64
from collections.abc import Iterable
from typing import Any

from .channels import PICK_AS_TITLE, PICK_AS_VALUE, incoming, newcomer
from .records import Conversation, Draft, Message
from .samples import sample
from .side import Side
from .wire import Json

FLOW_ANSWERED = "Form response received"  # not recorded; a fixed, translated text
# As Chatwoot stores it (docs/chatwoot/payloads.md#channels).
UNSUPPORTED = "This message is unavailable."


class ContactSide(Side):
    """The contact's part of the stage."""

    async def contact_says(
        self,
        content: str | None,
        *,
        conversation: int | None = None,
        name: str | None = None,
        attachments: Iterable[Json] = (),
        inbox: int | None = None,
        contact: int | None = None,
        subject: str = "A question",
        auto_reply: bool = False,
        content_attributes: Json | None = None,
    ) -> Message:
        """Write as the contact; without *conversation* a new one begins.

        Does not wait for the delivery.

        Args:
            content: The text; None for a file without one.
            conversation: The display id of an earlier conversation.
            name: The new contact's name.
            attachments: `file_type` and whatever differs from a stored file,
                such as `data_url`.
            inbox: Where a new conversation begins.
            contact: Who begins it; somebody new when left out.
            subject: Of a mail.
            auto_reply: Whether a machine wrote that mail.
            content_attributes: What the channel adds, such as `referral`.

        Raises:
            MessageRefusedError: Over 200 messages in one minute, or over a limit of
                the widget where those are switched on.
        """
        if conversation is None:
            self.world.limits.check(self._inbox(inbox), is_new=True)
            target = self._begin(name, inbox, subject, contact)
        else:
            target = self._conversation(conversation)
            self.world.limits.check(target.inbox, is_new=False)
        fields = incoming(
            target,
            content,
            number=self.world.ledger.next_message,
            subject=subject,
            auto_reply=auto_reply,
        )
        added = fields.pop("content_attributes", {}) | (content_attributes or {})
        draft = Draft(
            content=content,
            message_type="incoming",
            sender_type="contact",
            content_attributes=added,
            attachments=tuple(attachments),
            **fields,
        )
        return self.world.receive(target, draft)

    async def contact_sends(
        self,
        kind: str,
        *,
        conversation: int | None = None,
        caption: str | None = None,
        filename: str | None = None,
        content: bytes | None = None,
        content_base64: str | None = None,
        inbox: int | None = None,
        **differs: Any,
    ) -> Message:
        """Send a file, a location, a contact card ….

        Source: docs/chatwoot/payloads.md#attachments.

        Args:
            kind: image, audio, video, file, location, contact, fallback, embed,
                share, story_mention, ig_reel, ig_post or ig_story.
            conversation: The display id; None begins one.
            caption: The text beside it.
            filename: Of a stored file; it decides the type.
            content: The file itself; a small sample when left out.
            content_base64: The same, for callers who speak JSON.
            inbox: Where a new conversation begins.
            differs: Keys that are unlike those of the sample.
        """
        if content_base64 is not None:
            content = base64.b64decode(content_base64)
        attachment = sample(
            self.world.files, kind, name=filename, content=content, **differs
        )
        if kind == "contact" and caption is None:
            meta = attachment["meta"]
            caption = f"{meta['firstName']} {meta['lastName']}"
        return await self.contact_says(
            caption, conversation=conversation, inbox=inbox, attachments=[attachment]
        )

    async def contact_sends_unsupported(
        self, *, conversation: int | None = None, inbox: int | None = None
    ) -> Message:
        """Send what Chatwoot cannot show."""
        return await self.contact_says(
            UNSUPPORTED,
            conversation=conversation,
            inbox=inbox,
            content_attributes={"is_unsupported": True},
        )

    async def contact_answers_flow(
        self,
        response: Json,
        *,
        conversation: int | None = None,
        name: str = "flow",
        body: str = "Sent",
        inbox: int | None = None,
    ) -> Message:
        """Fill in a WhatsApp Flow; before 4.17 an empty message comes of it."""
        if not self.world.release.reads_flows:
            return await self.contact_says(None, conversation=conversation, inbox=inbox)
        answer = {"name": name, "body": body, "response_json": response}
        return await self.contact_says(
            FLOW_ANSWERED,
            conversation=conversation,
            inbox=inbox,
            content_attributes={"whatsapp_flow_response": answer},
        )

    async def contact_replies_to(self, message_id: int, content: str) -> Message:
        """Answer one message with the channel's "reply to".

        Source: docs/chatwoot/payloads.md#content-attributes.
        """
        message = self._message(message_id)
        replied = {
            "in_reply_to": message.id,
            "in_reply_to_external_id": message.source_id,
        }
        return await self.contact_says(
            content, conversation=message.conversation_id, content_attributes=replied
        )

    async def contact_picks(
        self, message_id: int, title: str, value: str
    ) -> Message | None:
        """Choose an option of an input_select, as the channel answers.

        Source: docs/chatwoot/api.md#create-message.

        In the widget no incoming message comes of it, only the bot's own message
        changes; WhatsApp and Facebook send the title, Telegram and LINE the value.
        """
        message = self._message(message_id)
        channel = self._conversation(message.conversation_id).inbox.channel
        if channel in PICK_AS_TITLE:
            return await self.contact_replies_to(message_id, title)
        if channel in PICK_AS_VALUE:
            return await self.contact_says(value, conversation=message.conversation_id)
        if channel != "Channel::WebWidget":
            return await self.contact_says(title, conversation=message.conversation_id)
        self._submit(message, submitted_values=[{"title": title, "value": value}])
        return None

    async def contact_submits(self, message_id: int, values: Json) -> None:
        """Fill in a form of the widget."""
        pairs = [{"name": name, "value": value} for name, value in values.items()]
        self._submit(self._message(message_id), submitted_values=pairs)

    async def contact_gives_email(self, message_id: int, email: str) -> None:
        """Fill in the e-mail box of the widget.

        A contact who is known by that address takes the conversation over.
        """
        message = self._message(message_id)
        conversation = self._conversation(message.conversation_id)
        self._submit(message, submitted_email=email)
        contact = conversation.contact
        for known in list(self.world.contacts.values()):
            if known.email == email and known is not contact:
                self.world.merge_contacts(known, contact)
                return
        self.world.update_contact(conversation, email=email)

    async def contact_rates(
        self, message_id: int, rating: int = 5, feedback: str = ""
    ) -> None:
        """Answer the survey; the answer is an object here.

        Source: docs/chatwoot/payloads.md#content-attributes.
        """
        answer = {"feedback_message": feedback, "rating": rating}
        submitted = {"csat_survey_response": answer}
        self._submit(self._message(message_id), submitted_values=submitted)

    async def contact_types(self, conversation: int, state: str = "on") -> None:
        """Switch the contact's typing sign; bots are not told."""
        self.world.type(self._conversation(conversation), state, by="contact")

    async def contact_opens_widget(
        self, *, conversation: int | None = None, inbox: int | None = None
    ) -> None:
        """Open the widget; what was outgoing becomes read."""
        if conversation is None:
            self.world.opens_widget(self.world.ledger.new_contact(), self._inbox(inbox))
            return
        contact = self._conversation(conversation).contact
        self.world.opens_widget(contact, self._conversation(conversation).inbox)
        await self.contact_reads(conversation)

    async def contact_reads(self, conversation: int) -> None:
        """See the answers: all that was outgoing becomes read, one event each."""
        target = self._conversation(conversation)
        target.contact_last_seen_at = self.world.ledger.now()
        for message in list(target.messages):
            if message.is_shown and message.status not in ("read", "failed"):
                self.world.update_message(message, status="read")

    async def contact_resolves(self, conversation: int) -> None:
        """End the conversation in the widget."""
        target = self._conversation(conversation)
        self.world.set_status(target, "resolved", by=target.contact.name)

    def _begin(
        self,
        name: str | None,
        inbox_id: int | None,
        subject: str,
        contact_id: int | None,
    ) -> Conversation:
        inbox, ledger = self._inbox(inbox_id), self.world.ledger
        new = newcomer(inbox, ledger.number, ledger.now(), subject)
        if contact_id is None:
            contact = ledger.new_contact(name, **new.contact)
        elif contact_id in self.world.contacts:
            contact = self.world.contacts[contact_id]
        else:
            raise LookupError(f"there is no contact {contact_id}")
        return self.world.new_conversation(
            contact, inbox, additional_attributes=new.conversation
        )

    def _submit(self, message: Message, **answer: Any) -> None:
        attributes = message.content_attributes | answer
        self.world.update_message(message, content_attributes=attributes)
