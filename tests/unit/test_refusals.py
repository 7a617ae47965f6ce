"""What servers say when they refuse, as they say it, and what is read from it."""

import json

import pytest

from chatwoot_bot.responders.refusals import Cause, Refusal, read

SENT = (
    *("model", "messages", "stream", "stream_options", "tools", "tool_choice"),
    *("max_tokens", "temperature", "top_k"),
)


def openai(message, **fields):
    error = {"message": message, "type": "invalid_request_error", "param": None}
    return {"error": error | {"code": None} | fields}


def vllm(message, **fields):
    error = {"object": "error", "message": message, "type": "BadRequestError"}
    return error | {"param": None, "code": 400} | fields


def validation(*where, said="Extra inputs are not permitted", given=None):
    return [{"type": "extra_forbidden", "loc": where, "msg": said, "input": given}]


BODIES = {
    "OpenAI: tools with reasoning": (
        openai(
            "Function tools with reasoning_effort are not supported for gpt-5.6-luna "
            "in /v1/chat/completions. Please use /v1/responses instead.",
            param="reasoning_effort",
        ),
        (Cause.EFFORT, "", None),
    ),
    "OpenAI: tools with reasoning, without a param": (
        openai(
            "Function tools with reasoning_effort are not supported for gpt-6-luna. To "
            "use function tools, use /v1/responses or set reasoning_effort to 'none'."
        ),
        (Cause.EFFORT, "", None),
    ),
    "OpenAI: max_tokens": (
        openai(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        ),
        (Cause.FIELD, "max_tokens", None),
    ),
    "OpenAI: temperature": (
        openai(
            "Unsupported value: 'temperature' does not support 0.2 with this model. "
            "Only the default (1) value is supported.",
            param="temperature",
            code="unsupported_value",
        ),
        (Cause.FIELD, "temperature", None),
    ),
    "OpenAI: context": (
        openai(
            "This model's maximum context length is 8192 tokens. However, your "
            "messages resulted in 9120 tokens (8900 in the messages, 220 in the "
            "functions). Please reduce the length of the messages or functions.",
            param="messages",
            code="context_length_exceeded",
        ),
        (Cause.OVERFLOW, "", 8192),
    ),
    "OpenAI: order of messages": (
        openai(
            "Invalid parameter: messages with role 'tool' must be a response to a "
            "preceding message with 'tool_calls'.",
            param="messages.[3].role",
        ),
        (Cause.OTHER, "", None),
    ),
    "OpenAI: schema of a tool": (
        openai(
            "Invalid schema for function 'look': schema must be an object.",
            param="tools[0].function.parameters",
            code="invalid_function_parameters",
        ),
        (Cause.TOOLS, "", None),
    ),
    "Azure: an older API": (
        openai("Unrecognized request argument supplied: stream_options"),
        (Cause.FIELD, "stream_options", None),
    ),
    "Azure: filter": (
        openai(
            "The response was filtered due to the prompt triggering Azure OpenAI's "
            "content management policy.",
            param="prompt",
            code="content_filter",
            innererror={"code": "ResponsibleAIPolicyViolation"},
        ),
        (Cause.FILTERED, "", None),
    ),
    "llama.cpp: context": (
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size. try "
                "increasing the context size or enable context shift",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 1301,
                "n_ctx": 1024,
            }
        },
        (Cause.OVERFLOW, "", 1024),
    ),
    "llama.cpp: tools": (
        {
            "error": {
                "code": 500,
                "message": "tools param requires --jinja flag",
                "type": "server_error",
            }
        },
        (Cause.TOOLS, "", None),
    ),
    "llama.cpp: roles": (
        {
            "error": {
                "code": 500,
                "message": "Conversation roles must alternate user/assistant/user/"
                "assistant/... at row 1, column 88",
                "type": "server_error",
            }
        },
        (Cause.ROLES, "", None),
    ),
    "llama.cpp: system": (
        {"error": {"code": 500, "message": "System role not supported"}},
        (Cause.SYSTEM, "", None),
    ),
    "llama.cpp: a wrong call": (
        {"error": {"code": 500, "message": "Failed to parse tool call arguments"}},
        (Cause.MISUSED, "", None),
    ),
    "vLLM: tools": (
        vllm(
            '"auto" tool choice requires --enable-auto-tool-choice and '
            "--tool-call-parser to be set"
        ),
        (Cause.TOOLS, "", None),
    ),
    "vLLM: roles": (
        vllm(
            "After the optional system message, conversation roles must alternate "
            "user/assistant/user/assistant/..."
        ),
        (Cause.ROLES, "", None),
    ),
    "vLLM: context": (
        vllm(
            "This model's maximum context length is 4096 tokens. However, you "
            "requested 5000 tokens (4200 in the messages, 800 in the completion). "
            "Please reduce the length of the messages or completion."
        ),
        (Cause.OVERFLOW, "", 4096),
    ),
    "vLLM: context and max_tokens": (
        {
            "error": vllm(
                "'max_tokens' or 'max_completion_tokens' is too large: 800. This "
                "model's maximum context length is 1024 tokens and your request has "
                "900 input tokens (800 > 1024 - 900)."
            )
        },
        (Cause.OVERFLOW, "", 1024),
    ),
    "vLLM: a field": (
        vllm(validation("body", "top_k", said="Input should be an integer")),
        (Cause.FIELD, "top_k", None),
    ),
    "FastAPI: a field": (
        {"detail": validation("body", "stream_options", given={"tools": "no tools"})},
        (Cause.FIELD, "stream_options", None),
    ),
    "FastAPI: tools": (
        {"detail": validation("body", "tools")},
        (Cause.TOOLS, "", None),
    ),
    "FastAPI: the stream": (
        {"detail": validation("body", "stream")},
        (Cause.FIELD, "stream", None),
    ),
    "Mistral: a field": (
        {
            "object": "error",
            "message": {"detail": validation("body", "stream_options")},
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        },
        (Cause.FIELD, "stream_options", None),
    ),
    "Mistral: roles": (
        {
            "object": "error",
            "message": "Expected last role User or Tool (or Assistant with prefix "
            "True) for serving but got assistant",
            "type": "invalid_request_message_order",
            "param": None,
            "code": "3230",
        },
        (Cause.ROLES, "", None),
    ),
    "Mistral: context": (
        {
            "object": "error",
            "message": "Prompt contains 40000 tokens, too large for model with 32768 "
            "maximum context length",
            "type": "invalid_request_prompt",
            "code": "3051",
        },
        (Cause.OVERFLOW, "", 32768),
    ),
    "Groq: tools": (
        openai("`tool calling` is not supported with this model"),
        (Cause.TOOLS, "", None),
    ),
    "Groq: a wrong call": (
        openai(
            "Failed to call a function. Please adjust your prompt.",
            code="tool_use_failed",
            failed_generation="<function=search>",
        ),
        (Cause.MISUSED, "", None),
    ),
    "Groq: a field": (
        openai("property 'top_k' is unsupported"),
        (Cause.FIELD, "top_k", None),
    ),
    "Groq: too large": (
        openai(
            "Request too large for model `x` on tokens per minute (TPM): Limit 6000, "
            "Requested 8000, please reduce your message size and try again.",
            type="tokens",
            code="rate_limit_exceeded",
        ),
        (Cause.OVERFLOW, "", None),
    ),
    "Gemini: a field": (
        [
            {
                "error": {
                    "code": 400,
                    "message": 'Invalid JSON payload received. Unknown name "top_k": '
                    "Cannot find field.",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        (Cause.FIELD, "top_k", None),
    ),
    "Gemini: context": (
        [
            {
                "error": {
                    "code": 400,
                    "message": "The input token count (1200000) exceeds the maximum "
                    "number of tokens allowed (1048576).",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        (Cause.OVERFLOW, "", 1048576),
    ),
    "Gemini: tools": (
        [{"error": {"message": "Function calling is not enabled for models/gemma"}}],
        (Cause.TOOLS, "", None),
    ),
    "Gemini: system": (
        [{"error": {"message": "Developer instruction is not enabled for models/g"}}],
        (Cause.SYSTEM, "", None),
    ),
    "Ollama: tools": (
        {
            "error": {
                "message": "registry.ollama.ai/library/gemma:2b does not support tools",
                "type": "api_error",
            }
        },
        (Cause.TOOLS, "", None),
    ),
    "Ollama: thinking": (
        {"error": {"message": '"gemma3" does not support thinking'}},
        (Cause.EFFORT, "", None),
    ),
    "Ollama: an error without fields": (
        {"error": "model is required"},
        (Cause.OTHER, "", None),
    ),
    "OpenRouter: tools": (
        {
            "error": {
                "message": "No endpoints found that support tool use.",
                "code": 404,
            }
        },
        (Cause.TOOLS, "", None),
    ),
    "a page": ("<html>Bad Request</html>", (Cause.OTHER, "", None)),
    "nothing": ("", (Cause.OTHER, "", None)),
    "null": (None, (Cause.OTHER, "", None)),
    "an empty list": ([], (Cause.OTHER, "", None)),
}


@pytest.mark.parametrize("name", BODIES)
def test_reason_of_a_refusal_is_read(name):
    body, expected = BODIES[name]

    refusal = read(json.loads(json.dumps(body)), SENT)

    assert (refusal.cause, refusal.field, refusal.context) == expected


def test_log_gets_codes_and_never_the_servers_words():
    """They may be the contact's, or the key."""
    said = openai(
        "My card is 4111", type="invalid_request_error", code="my card is 4111"
    )
    coded = openai("x", param="reasoning_effort", code="unsupported_value")

    assert read(said, SENT).told == "invalid_request_error"
    assert read(coded, SENT).told == (
        "unsupported_value, invalid_request_error, reasoning_effort"
    )


def test_field_that_was_not_sent_is_not_to_blame():
    said = openai("Unknown parameter: 'logprobs'.", param="logprobs")

    assert read(said, SENT) == Refusal(
        cause=Cause.OTHER, told="invalid_request_error, logprobs"
    )


def test_quoted_input_is_not_read():
    """A validation repeats what the contact has written."""
    quoted = validation("body", "messages", given="which tools do you sell?")

    assert read({"detail": quoted}, SENT).cause is Cause.OTHER


@pytest.mark.parametrize("body", ["x" * 10**6, [[["x"] * 50] * 50] * 50])
def test_endless_words_are_cut(body):
    assert read({"error": {"message": body}}, SENT).cause is Cause.OTHER
