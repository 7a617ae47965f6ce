"""What can go wrong, on request: failing API calls and unruly deliveries.

All chance comes from one seeded `random.Random`, so a chaos run can be repeated
as far as the timing of two programs allows.

    sim.faults.api("status", status=503, times=2)      the next two posts fail
    sim.faults.api("store_then_hang", conversation=7)  stored, but no answer comes
    sim.faults.api("page", status=404, text="404 page not found", call="*", times=None)
    sim.faults.api("drop", probability=0.1, times=None)    one in ten, until clear()
    sim.faults.deliveries.duplicate = 0.3              three in ten come twice
    sim.faults.files.missing_requests = 2              each file is late
    sim.faults.channel.error = "131026: Message undeliverable"    nothing gets out
    sim.faults.rate_limit = 60                         calls per minute, then 429
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .wire import Json

ApiFaultKind = Literal[
    "status",  # answer `status` and do nothing
    "page",  # answer what stands in for Chatwoot, such as a proxy, and do nothing
    "drop",  # close the connection without an answer, and do nothing
    "hang",  # never answer, and do nothing
    "delay",  # wait `delay_s`, then go on as usual
    "store_then_status",  # do it, then answer `status`
    "store_then_500",  # the same with 500
    "store_then_drop",  # do it, then close the connection without an answer
    "store_then_hang",  # do it, and never answer
]
KINDS: tuple[str, ...] = ApiFaultKind.__args__  # type: ignore[attr-defined]


@dataclass(slots=True, kw_only=True)
class ApiFault:
    """One rule for failing REST calls; `times` counts down, None is for ever."""

    kind: ApiFaultKind
    status: int
    body: Json | None
    text: str
    headers: Mapping[str, str]
    delay_s: float
    times: int | None
    probability: float
    conversation: int | None
    call: str

    @property
    def is_spent(self) -> bool:
        """Whether the rule has fired as often as it may."""
        return self.times is not None and self.times <= 0

    def fits(self, call: str, conversation: int | None) -> bool:
        """Return whether the rule is about this call, before any chance."""
        return (
            not self.is_spent
            and self.call in ("*", call)
            and self.conversation in (None, conversation)
        )


@dataclass(slots=True, kw_only=True)
class DeliveryFaults:
    """How badly deliveries behave; everything is off at first.

    Attributes:
        duplicate: Share of deliveries that are sent twice, with one delivery id.
        drop: Share of deliveries that are lost; Chatwoot never notices.
        reorder_s: Each delivery waits a random time up to this, so those within
            the window arrive shuffled.
        unsigned: Send no signature, as Chatwoot did before 4.13.
        old_shapes: Conversations of older releases: without `account` (before
            4.14.2) and `assignee_type` (before 4.8).
        without_account: Only the former of the two.
        without_assignee_type: Only the latter.
        without_delivery_id: No X-Chatwoot-Delivery, as for bots before 4.13.
        creation_noise: After a new conversation also send the null status change
            and the creation diff that were seen in a real capture
            (docs/chatwoot/deliveries.md#sequences).
    """

    duplicate: float = 0.0
    drop: float = 0.0
    reorder_s: float = 0.0
    unsigned: bool = False
    old_shapes: bool = False
    without_account: bool = False
    without_assignee_type: bool = False
    without_delivery_id: bool = False
    creation_noise: bool = False


@dataclass(slots=True, kw_only=True)
class FileFaults:
    """How badly stored files behave (docs/chatwoot/payloads.md#attachments).

    Attributes:
        missing_requests: Each file answers 404 to that many requests at first.
        missing_s: And for that many seconds after it was stored.
        lifetime_s: How long the URL of the redirect lasts.
    """

    missing_requests: int = 0
    missing_s: float = 0.0
    lifetime_s: float = 300.0


@dataclass(slots=True, kw_only=True)
class ChannelFaults:
    """How badly the channels behind Chatwoot behave.

    Attributes:
        error: What the channel answers; empty while it takes everything.
        times: How many messages it refuses; None is until `clear()`.
        delay_s: How long it takes to answer at all.
    """

    error: str = ""
    times: int | None = None
    delay_s: float = 0.0

    def draw(self) -> str:
        """Return why this message is refused, if it is; it counts as used."""
        if not self.error or (self.times is not None and self.times <= 0):
            return ""
        if self.times is not None:
            self.times -= 1
        return self.error


@dataclass(slots=True)
class Faults:
    """The switches of one simulator; all of them work at run time.

    Attributes:
        rate_limit: REST calls per minute, then 429
        (docs/chatwoot/api.md#rate-limits); None is no limit.
        drop_underscores: A proxy before Chatwoot drops headers with underscores.
        widget_limits: Enforce the release's limits on widgets. Off at first, because
            all visitors of the simulator count as one address.
    """

    rng: random.Random
    deliveries: DeliveryFaults = field(default_factory=DeliveryFaults)
    files: FileFaults = field(default_factory=FileFaults)
    channel: ChannelFaults = field(default_factory=ChannelFaults)
    rate_limit: int | None = None
    drop_underscores: bool = False
    widget_limits: bool = False
    rules: list[ApiFault] = field(default_factory=list)

    def api(
        self,
        kind: ApiFaultKind,
        *,
        status: int = 500,
        body: Json | None = None,
        text: str = "",
        headers: Mapping[str, str] | None = None,
        delay_s: float = 0.0,
        times: int | None = 1,
        probability: float = 1.0,
        conversation: int | None = None,
        call: str = "create_message",
    ) -> ApiFault:
        """Make REST calls fail, from now on.

        Args:
            kind: What happens instead; see `ApiFaultKind`.
            status: The answer of the `status` kinds; 429 comes as Chatwoot's own
                text/plain "Retry later", without Retry-After.
            body: JSON instead of the usual words of *status*.
            text: Of a `page`, in place of Chatwoot's JSON.
            headers: Of a `page`; text/plain without a content type.
            delay_s: Seconds, for `delay`.
            times: How often it strikes; None means until `clear()`.
            probability: The chance for each call that fits.
            conversation: Only calls about this conversation.
            call: The call's name in `api.py`, such as `toggle_typing_status`;
                `"*"` is every call.

        Returns:
            The rule; its `times` tells how often it may still fire.
        """
        if kind not in KINDS:
            raise ValueError(f"no fault {kind!r}; there are {', '.join(KINDS)}")
        rule = ApiFault(
            kind=kind,
            status=500 if kind == "store_then_500" else status,
            body=body,
            text=text,
            headers=headers or {},
            delay_s=delay_s,
            times=times,
            probability=probability,
            conversation=conversation,
            call=call,
        )
        self.rules.append(rule)
        return rule

    def draw(self, call: str, conversation: int | None) -> ApiFault | None:
        """Return the fault that strikes this call, if any; it counts as used."""
        self.rules = [rule for rule in self.rules if not rule.is_spent]
        for rule in self.rules:
            if rule.fits(call, conversation) and self.chance(rule.probability):
                if rule.times is not None:
                    rule.times -= 1
                return rule
        return None

    def clear(self) -> None:
        """End all faults; everything behaves again."""
        self.rules.clear()
        self.deliveries = DeliveryFaults()
        self.files = FileFaults()
        self.channel = ChannelFaults()
        self.rate_limit = None
        self.drop_underscores = False
        self.widget_limits = False

    def chance(self, probability: float) -> bool:
        """Return True in that share of calls; draws only when there is a chance."""
        if probability >= 1:
            return True
        return probability > 0 and self.rng.random() < probability
