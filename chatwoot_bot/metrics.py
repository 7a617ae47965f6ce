"""What `/metrics` counts. Labels are rules and outcomes, never ids or text."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .breaker import Breaker

SECONDS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 21, 34, 60, 120)


class Metrics:
    """The counters of one service; `registry` renders them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.deliveries = Counter(
            "chatwoot_bot_deliveries",
            "Webhook deliveries by what became of them",
            ["outcome", "reason"],
            registry=self.registry,
        )
        self.turns = Counter(
            "chatwoot_bot_turns",
            "Turns by decision and outcome",
            ["decision", "outcome"],
            registry=self.registry,
        )
        self.turn_seconds = Histogram(
            "chatwoot_bot_turn_seconds",
            "Length of a turn, from claim to finish",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.answer_seconds = Histogram(
            "chatwoot_bot_answer_seconds",
            "Time from a contact's oldest unanswered message to the delivered answer",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.model_failures = Counter(
            "chatwoot_bot_model_failures",
            "Answers that the model did not give, after its retries",
            registry=self.registry,
        )
        self.tokens = Counter(
            "chatwoot_bot_model_tokens",
            "Tokens used, prompt and completion",
            registry=self.registry,
        )
        self.estimated_tokens = Counter(
            "chatwoot_bot_model_tokens_estimated",
            "Of these, tokens that the model's server did not count",
            registry=self.registry,
        )
        self.cost = Counter(
            "chatwoot_bot_model_cost",
            "What the model has cost, in the currency of the price list",
            registry=self.registry,
        )
        self.guarded = Counter(
            "chatwoot_bot_guarded",
            "Answers that were withheld, or lost a link or a picture",
            ["what"],
            registry=self.registry,
        )
        self.replies = Counter(
            "chatwoot_bot_replies",
            "Replies by what became of a sending",
            ["outcome"],
            registry=self.registry,
        )
        self.handovers = Counter(
            "chatwoot_bot_handovers",
            "Conversations handed to a human, by reason",
            ["reason"],
            registry=self.registry,
        )
        self.late = Counter(
            "chatwoot_bot_late",
            "Conversations that the watchdog found without an answer in time",
            registry=self.registry,
        )
        self.circuit = Gauge(
            "chatwoot_bot_circuit_open",
            "1 while a circuit is open or on trial",
            ["circuit"],
            registry=self.registry,
        )
        self.tools_refused = Gauge(
            "chatwoot_bot_model_tools_refused",
            "1 while a model is not offered tools, because its server refuses them",
            ["circuit"],
            registry=self.registry,
        )
        self.running = Gauge(
            "chatwoot_bot_turns_running", "Turns under way", registry=self.registry
        )
        self.waiting = Gauge(
            "chatwoot_bot_writes_waiting",
            "Events handed to the database and not yet on disk",
            registry=self.registry,
        )

    def show_circuit(self, name: str, breaker: Breaker) -> None:
        """Report *breaker* as it is at each scrape."""
        self.circuit.labels(name).set_function(lambda: breaker.state != "closed")

    def show_tools(self, circuit: str, takes_tools: Callable[[], bool]) -> None:
        """Show at each scrape whether a model is offered tools."""
        self.tools_refused.labels(circuit).set_function(lambda: not takes_tools())
