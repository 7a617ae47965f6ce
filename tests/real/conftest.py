"""Real servers, where `make real` has installed them."""

import llama_server as llama
import pytest

USUAL = 4_096


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The model's file."""
    if absent := llama.missing():
        pytest.skip(f"not installed: {', '.join(absent)}; `make real` does it")
    return llama.model_file(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def server(model):
    """One slot, with room for a prompt with tools and a few messages."""
    with llama.Llama(model, context=USUAL) as running:
        yield running
