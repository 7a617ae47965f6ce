"""The files around the code tell the truth: settings, paths, packaging."""

import itertools
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
import yaml
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from service import Service
from starlette.routing import Mount, Route, WebSocketRoute

from chatwoot_bot.app import ROUTES
from chatwoot_bot.core.conversation import TRANSITIONS
from chatwoot_bot.settings import Settings
from chatwoot_bot.store import migrations, schema
from chatwoot_bot.store.engine import make_engine
from chatwoot_bot.store.newest import HEAD, is_newest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
HOLDS = "explanation/who-holds"
M = re.MULTILINE
NAMES = {name.upper() for name in Settings.model_fields}


def page(name):
    return (ROOT / "docs" / f"{name}.md").read_text()


def section(text, heading):
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def example():
    """Return .env.example as (name, value, the comment above it)."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if found := re.fullmatch(r"([A-Z_]+)=(.*)", line):
            yield found[1], found[2], before


def test_env_example_has_every_setting_with_a_line_that_explains_it():
    """An operator reads one file and knows all there is."""
    assert {name for name, _, _ in example()} == NAMES
    assert all(comment.startswith("# ") for _, _, comment in example())


def test_env_example_shows_the_defaults():
    """Copying it as it is changes nothing."""
    given = {name: value for name, value, _ in example()}

    assert Settings.load(given) == Settings.load({})


def test_settings_page_has_a_row_for_every_setting_and_no_other():
    """An operator finds each setting, and none that does nothing."""
    named = re.findall(
        r'^\| <a id="\w+"></a>`([A-Z_]+)` \|', page("reference/settings"), M
    )

    assert sorted(named) == sorted(NAMES)


def test_http_page_names_every_path_and_no_other():
    """The table is for reading at one glance, so it is written by hand."""
    table = section(page("reference/http"), "All calls")
    named = re.findall(r"^\| `(GET|POST|PUT|DELETE) (/[^`?\s]*)", table, M)
    served = {
        (method, route.path.replace(":int}", "}"))  # Starlette's way of writing it
        for route in ROUTES
        if isinstance(route, Route)
        for method in route.methods - {"HEAD"}
    }

    assert sorted(named) == sorted(served)
    assert [route.path for route in ROUTES if isinstance(route, Mount)] == ["/static"]


def test_websocket_page_names_every_socket():
    """Routes and `/openapi.json` are two lists of them; the page is from the second."""
    named = re.findall(r"^\| `(/ws[^`?]*)", page("reference/websocket"), M)
    served = [route.path for route in ROUTES if isinstance(route, WebSocketRoute)]

    assert sorted(named) == sorted(served)


def test_functions_of_follow_one_message_exist():
    """A reader who follows a message must arrive somewhere."""
    table = section(page("explanation/architecture"), "Follow one message")
    rows = re.findall(r"\| `([\w.]+)` \| `([\w/]+\.py)` \|", table)

    assert len(rows) >= 16
    for function, file in rows:
        source = (ROOT / "chatwoot_bot" / file).read_text()
        assert re.search(rf"(def|class) {function.split('.')[-1]}\b", source), function


def test_page_shows_the_transitions_of_the_rule():
    """Table and picture are made from the rule; read back, they say the same."""
    expected = {
        (str(state), str(trigger), str(target))
        for state, row in TRANSITIONS.items()
        for trigger, target in row.items()
        if target is not state
    }
    rows = re.findall(r"^\| `(\w+)` \| (`\w+`.*) \| `(\w+)` \|$", page(HOLDS), M)
    shown = {
        (begin, trigger, end)
        for begin, triggers, end in rows
        for trigger in re.findall(r"\w+", triggers)
    }
    arrows = re.findall(r"<path d=\"M", (ROOT / "docs/images/states.svg").read_text())

    assert shown == expected
    # One path is the tip that all arrows share.
    assert len(arrows) - 1 == len({(begin, end) for begin, _, end in expected})


def test_readme_is_a_landing_page():
    """Two commands first, and all else on a page of its own."""
    lines = README.splitlines()
    [first, *_] = re.findall(r"```console\n(.*?)```", README, re.DOTALL)

    assert len(lines) <= 150
    assert re.findall(r"^\$ (make \w+)", first, M) == ["make run", "make test"]
    assert len(re.findall(r"^!\[", README, M)) == 1


def test_migrations_make_the_schema(tmp_path):
    """A table changed without a migration would work here and nowhere else."""
    engine = make_engine(sa.make_url(f"sqlite:///{tmp_path / 'm.db'}"), writes=True)
    migrations.upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_name": lambda name, *_: not _is_index(name)}
        )
        difference = compare_metadata(context, schema.metadata)
    engine.dispose()

    assert difference == []


def test_newest_schema_is_known_without_alembic(tmp_path):
    """Or each start would take its memory, and only the first one needs it."""
    engine = make_engine(sa.make_url(f"sqlite:///{tmp_path / 'm.db'}"), writes=True)
    before = is_newest(engine)
    migrations.upgrade(engine)
    with engine.connect() as connection:
        [head] = MigrationContext.configure(connection).get_current_heads()
    after = is_newest(engine)
    engine.dispose()

    assert (before, after, head) == (False, True, HEAD)


def _is_index(name):
    """Each database's own full text, which no metadata can describe."""
    return str(name).startswith(schema.INDEX)


def test_compose_file_and_dockerfile_fit_the_service():
    """They cannot be run here, so at least what they name must be right."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert compose["services"].keys() == {"bot", "postgres"}
    assert set(compose["services"]["bot"]["environment"]) <= NAMES
    # Goes before env_file, and .env.example says 127.0.0.1: nobody would be heard.
    assert compose["services"]["bot"]["environment"]["HOST"] == "0.0.0.0"
    for line in re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE):
        assert all((ROOT / name).exists() for name in line.split())
    for name in re.findall(r"([A-Z_]+)=", re.search(r"ENV (.+)", dockerfile)[1]):
        assert name in NAMES
    assert '"chatwoot-bot", "serve"' in dockerfile


@pytest.mark.parametrize(
    ("file", "extras"),
    [
        ("requirements.txt", ["postgres"]),
        ("requirements-dev.txt", ["docs", "postgres", "dev"]),
    ],
)
def test_dependencies_are_pinned_by_version_and_hash(file, extras):
    """The same files on every machine, and no registry named anywhere."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    wanted = sum((optional[extra] for extra in extras), project["dependencies"])
    names = {re.match(r"[\w-]+", line)[0].lower() for line in wanted}
    text = (ROOT / file).read_text()
    pins = text.lower().replace("_", "-").replace("\\\n", " ").splitlines()
    have = {re.match(r"([\w-]+)(\[\w+\])?==\S+ .*--hash=sha256:", pin) for pin in pins}

    assert None not in have
    assert names - {"chatwoot-bot"} <= {pin[1] for pin in have}
    assert "://" not in text


def test_wheel_in_a_clean_environment_serves_the_page(tmp_path):
    """Who installs the package gets the page with it."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT],
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet"]
    for what in (
        ["--require-hashes", "-r", ROOT / "requirements.txt"],
        ["--no-deps", wheel],
    ):
        subprocess.run([*install, *what], check=True, capture_output=True)
    (tmp_path / "run").mkdir()
    with Service(tmp_path / "run", python=python) as service:
        page = httpx.get(f"{service.url}/")
        script = httpx.get(f"{service.url}/static/js/visitor.js")
        answer = ask(service.url, "What does shipping cost?")

    assert page.status_code == script.status_code == 200
    assert "<html" in page.text
    assert "Source: Delivery" in answer


def ask(url, question):
    """Return what the bot answers to a visitor."""
    with httpx.Client(base_url=url, timeout=30) as client:
        begun = client.post("/conversations", json={}).json()
        path = f"/conversations/{begun['id']}/messages"
        headers = {"authorization": f"Bearer {begun['token']}"}
        said = client.post(path, json={"content": question}, headers=headers)
        wait = headers | {"prefer": "wait=20"}
        answers = client.get(path, params={"after": said.json()["id"]}, headers=wait)
    return answers.json()["items"][0]["content"]


def test_no_two_test_modules_have_one_name():
    """pytest finds them by it, without their folder."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]

    assert sorted(names) == sorted(set(names))
