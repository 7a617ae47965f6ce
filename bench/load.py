"""A small HTTP load generator: many senders, each waits for its answer."""

import asyncio
import hashlib
import hmac
import json
import statistics
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

SECRET = "a-secret-for-bench"


@dataclass(frozen=True)
class Result:
    """What a run measured; times in milliseconds."""

    per_second: float
    p50: float
    p99: float
    statuses: dict[int, int]


def message(number: int, conversations: int, *, beyond: int = 0) -> bytes:
    """Return a webhook body of realistic size (about 3 kB).

    Args:
        conversations: among how many the messages are spread.
        beyond: Chatwoot's last message and conversation before these.
    """
    conversation = beyond + number % conversations + 1
    number += beyond
    contact = {
        "id": conversation,
        "name": f"contact-{conversation}",
        "email": None,
        "phone_number": None,
        "identifier": None,
        "thumbnail": "",
        "blocked": False,
        "additional_attributes": {},
        "custom_attributes": {},
    }
    text = f"Message {number}: where is my order, please? " + "It is late. " * 10
    nested = {
        "id": number,
        "content": text,
        "account_id": 1,
        "inbox_id": 3,
        "conversation_id": conversation,
        "message_type": 0,
        "created_at": 1784538914,
        "private": False,
        "status": "sent",
        "content_type": "text",
        "content_attributes": {"in_reply_to": None},
        "sender_type": "Contact",
        "sender_id": conversation,
        "processed_message_content": text,
        "sender": contact | {"type": "contact"},
    }
    body = {
        "account": {"id": 1, "name": "Acme"},
        "content": text,
        "content_type": "text",
        "content_attributes": {"in_reply_to": None},
        "conversation": {
            "id": conversation,
            "inbox_id": 3,
            "channel": "Channel::WebWidget",
            "messages": [nested],
            "meta": {"sender": contact | {"type": "contact"}, "assignee": None},
            "status": "pending",
            "labels": [],
            "can_reply": True,
            "unread_count": 1,
            "updated_at": 1784538914.0 + number,
            "account": {"id": 1, "name": "Acme"},
        },
        "id": number,
        "inbox": {"id": 3, "name": "Website"},
        "message_type": "incoming",
        "private": False,
        "sender": contact | {"account": {"id": 1, "name": "Acme"}},
        "event": "message_created",
    }
    return json.dumps(body, separators=(",", ":")).encode()


def request(url: str, body: bytes) -> bytes:
    """Return a signed POST as it goes over the wire."""
    parts = urlsplit(url)
    timestamp = str(int(time.time()))
    signed = timestamp.encode() + b"." + body
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"X-Chatwoot-Delivery: {uuid.uuid4()}\r\n"
        f"X-Chatwoot-Timestamp: {timestamp}\r\n"
        f"X-Chatwoot-Signature: sha256={digest}\r\n\r\n"
    )
    return head.encode() + body


async def run(url: str, requests: Sequence[bytes], *, senders: int) -> Result:
    """Send *requests* over *senders* connections, one at a time on each."""
    waiting = iter(requests)
    times: list[float] = []
    statuses: dict[int, int] = {}

    async def send() -> None:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for data in waiting:
            began = time.perf_counter()
            writer.write(data)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r")[0])
            await reader.readexactly(length)
            times.append(time.perf_counter() - began)
            status = int(head[9:12])
            statuses[status] = statuses.get(status, 0) + 1
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(senders)))
    elapsed = time.perf_counter() - began
    ordered = sorted(times)
    return Result(
        per_second=len(times) / elapsed,
        p50=statistics.median(ordered) * 1000,
        p99=ordered[int(len(ordered) * 0.99)] * 1000,
        statuses=statuses,
    )
