"""House law that a machine can check: who may import whom, and what may be where."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest
from importlinter.cli import lint_imports

from app.config.settings import INTERNAL_NAMES, NAMES
from app.connectors.auth.methods import METHODS
from app.connectors.types.table import TYPES

ROOT = Path(__file__).resolve().parents[1]
APP = ROOT / "app"
TEMPLATES = APP / "templates"
TESTS = ROOT / "tests"

# Who alone may talk to Redis, and who alone may open a connection to an outside system.
QUEUE = {"app/queue.py", "app/rates.py", "app/workers/worker.py"}
OUTSIDE = {"app/connectors/http.py", "app/connectors/egress.py"}
# Where the two databases differ, and where that alone may be seen; all others ask `database`.
DIALECT_HOMES = {
    "app/database.py": "how each is spoken to",
    "app/models/base.py": "how each holds a column",
    "app/services/advance/bulk_statements.py": "one statement for many rows, where a statement costs more than a row",
    "app/queries/checkup.py": "tells the operator which of them answers",
    "app/config/settings.py": "the address, before anybody connects to it",
    "app/config/checks.py": "the address, before anybody connects to it",
}
DIALECTS = {"sqlite", "postgresql"}
# The demo is a script that uses the console from outside, as any other client does.
CLIENTS = {"app/local/demo/__main__.py"}


def modules() -> list[Path]:
    return sorted(APP.rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Each absolutely imported module of a file, with its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module, node.lineno


def dialect_switches(source: str) -> list[int]:
    """The lines that ask which database it is: of SQLAlchemy's dialects, or of one by its name."""
    lines = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            if any(one.startswith("sqlalchemy.dialects") for one in names):
                lines.add(node.lineno)
        elif isinstance(node, ast.Attribute) and node.attr == "dialect":
            lines.add(node.lineno)
        elif isinstance(node, ast.Compare | ast.MatchValue):
            constants = (one.value for one in ast.walk(node) if isinstance(one, ast.Constant))
            lines |= {node.lineno for one in constants if one in DIALECTS}
    return sorted(lines)


def rows_counted(source: str) -> list[int]:
    """The lines that read how many rows a statement changed."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr == "rowcount"
    ]


def importers_of(*packages: str) -> set[str]:
    return {
        name(path) for path in modules() for module, _ in imported(path) if module.split(".")[0] in packages
    }


def test_imports_go_downward(capsys: pytest.CaptureFixture[str]) -> None:
    status = lint_imports(str(ROOT / ".importlinter"), no_cache=True, no_logo=True)
    assert status == 0, capsys.readouterr().out


def imports_of(package: str, besides: str) -> dict[str, set[str]]:
    """Which modules of a package each of them imports, at once or late; `besides` is left out."""
    graph = grimp.build_graph(package, cache_dir=None)
    return {
        module: graph.find_modules_directly_imported_by(module) - {besides}
        for module in graph.modules - {besides}
    }


def circle(imports: dict[str, set[str]]) -> list[str]:
    """The modules of one circle, the first of them again at the end; empty when there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_reaches_itself_by_its_imports() -> None:
    # The factory brings everything together, and is what a process begins with.
    assert circle(imports_of("app", besides="app")) == []


def test_a_circle_of_imports_is_found() -> None:
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}


def test_the_core_imports_only_the_standard_library_and_itself() -> None:
    strangers = [
        f"{name(path)}:{line} {module}"
        for path in (APP / "domain").rglob("*.py")
        for module, line in imported(path)
        if module.split(".")[0] not in sys.stdlib_module_names and not module.startswith("app.domain")
    ]
    assert strangers == []


def test_the_supervisor_starts_the_application_and_is_no_part_of_it() -> None:
    known = re.compile(r"app|app\.config(\..*)?|app\.local(\.(redis_server|supervisor(\..*)?))?")
    strangers = [
        f"{name(path)}:{line} {module}"
        for path in (APP / "local" / "supervisor").rglob("*.py")
        for module, line in imported(path)
        if module.split(".")[0] not in sys.stdlib_module_names and not known.fullmatch(module)
    ]
    assert strangers == []


def test_what_runs_outside_the_application_needs_no_package() -> None:
    for script in ("launch.py", "watchdog.py"):
        modules_of_it = {
            module.split(".")[0] for module, _ in imported(APP / "local" / "supervisor" / script)
        }
        assert modules_of_it <= sys.stdlib_module_names


def below_start(source: str) -> list[int]:
    """The lines at which something stands below the start of a module that is run as a program."""
    body = ast.parse(source).body
    starts = [
        at
        for at, node in enumerate(body)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
    ]
    return [node.lineno for node in body[starts[0] + 1 :]] if starts else []


def test_a_program_begins_when_all_of_it_is_there() -> None:
    # What stands below is defined when another module imports it, and not when the program runs.
    found = {name(path): lines for path in modules() if (lines := below_start(path.read_text()))}
    assert found == {}


def test_what_stands_below_the_start_of_a_program_is_found() -> None:
    source = 'def main(): late()\nif __name__ == "__main__":\n    main()\ndef late(): ...\n'
    assert below_start(source) == [4]


def test_only_the_queue_and_the_worker_know_redis() -> None:
    assert importers_of("rq", "redis") <= QUEUE


def test_only_the_client_opens_connections_to_outside_systems() -> None:
    assert importers_of("urllib3", "requests", "httpx", "aiohttp") <= OUTSIDE | CLIENTS


def test_only_entrances_look_at_the_request() -> None:
    readers = set()
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in ("flask", "htmx_flask"):
                readers |= {name(path) for alias in node.names if alias.name == "request"}
    # What pages and API share: the guard, which decides before either looks, and what a request is called.
    shared = {"app/guard.py", "app/request_ids.py"}
    assert {one for one in readers if not one.startswith(("app/web/", "app/api/"))} <= shared


def test_only_the_clock_asks_the_time() -> None:
    asking = re.compile(r"\bdatetime\.(now|utcnow|today)\(")
    assert {name(path) for path in modules() if asking.search(path.read_text(encoding="utf-8"))} <= {
        "app/clock.py"
    }


def test_no_template_switches_escaping_off() -> None:
    unsafe = re.compile(r"\|\s*safe\b|autoescape\s+false|\bMarkup\(")
    found = [
        name(path) for path in TEMPLATES.rglob("*.html") if unsafe.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_services_and_queries_never_commit() -> None:
    committing = [
        f"{name(path)}:{node.lineno}"
        for folder in ("services", "queries")
        for path in (APP / folder).rglob("*.py")
        if path.name != "transaction.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "commit"
    ]
    assert committing == []


def test_only_its_homes_know_which_database_it_is() -> None:
    switching = {name(path) for path in modules() if dialect_switches(path.read_text(encoding="utf-8"))}
    assert switching == set(DIALECT_HOMES)


@pytest.mark.parametrize(
    "planted",
    [
        "from sqlalchemy.dialects import sqlite",
        "import sqlalchemy.dialects.postgresql as p",
        "sent = connection.dialect.name",
        "if session.get_bind().dialect.name == name: ...",
        "if engine.name == 'sqlite': ...",
        "match engine.name:\n    case 'postgresql': ...",
    ],
)
def test_a_switch_between_the_databases_is_found(planted: str) -> None:
    assert dialect_switches(planted)
    assert not dialect_switches("connection.execute(upsert(connection, table)) or 'sqlite'")


def test_only_the_database_module_counts_changed_rows() -> None:
    counting = {name(path) for path in modules() if rows_counted(path.read_text(encoding="utf-8"))}
    assert counting == {"app/database.py"}


# What a query must not call: on anything, and on a session.
LOCKS = {"with_for_update", "flush", "commit", "begin_nested", "add_all", "merge", "bulk_save_objects"}
ON_A_SESSION = {"add", "delete"}
WRITING_CONSTRUCTS = {"insert", "update", "delete", "upsert", "changed", "changed_one"}
WRITING_TEXT = re.compile(r"pg_(try_)?advisory|^\s*(INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b")


def writes_and_locks(source: str) -> list[str]:
    """Each place of a module that writes or locks, with its line. What names a construct is an import of it."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            ("sqlalchemy", "app.database", "app.services")
        ):
            names = {alias.name for alias in node.names}
            found += [f"{node.lineno} {one}" for one in sorted(names & (WRITING_CONSTRUCTS | {"audit"}))]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, owner = node.func.attr, ast.unparse(node.func.value)
            on_a_session = name in ON_A_SESSION and owner.rpartition(".")[2].startswith("session")
            on_a_table = name in WRITING_CONSTRUCTS and owner.endswith("__table__")
            if name in LOCKS or on_a_session or on_a_table or (owner, name) == ("audit", "record"):
                found.append(f"{node.lineno} {owner}.{name}")
        elif isinstance(node, ast.Constant) and WRITING_TEXT.search(str(node.value)):
            found.append(f"{node.lineno} {node.value}")
    return found


def full_locks(source: str) -> list[int]:
    """Lines that lock a row also against those who only refer to it, where that is not said to be meant."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        given = {one.arg: one.value for one in node.keywords}
        if getattr(node.func, "attr", "") == "with_for_update":
            is_said = bool(given.keys() & {"key_share", "read"})
        else:
            asked = given.get("with_for_update")
            is_said = asked is None or "key_share" in ast.unparse(asked)
        found += [] if is_said else [node.lineno]
    return found


def test_nobody_who_only_refers_to_a_row_waits_for_its_lock() -> None:
    """A foreign key asks PostgreSQL for its row: waiting there, with locks of one's own, is how circles begin."""
    wrong = {name(one): full_locks(one.read_text(encoding="utf-8")) for one in modules()}
    assert {path: lines for path, lines in wrong.items() if lines} == {}
    assert full_locks("select(Run).with_for_update()\nsession.get(Run, 1, with_for_update=True)") == [1, 2]


def test_a_query_neither_writes_nor_locks() -> None:
    """Every test shows the same at run time: see `tests.plugins.pure_reads`."""
    found = [
        f"{name(path)}:{what}"
        for path in (APP / "queries").rglob("*.py")
        for what in writes_and_locks(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "planted",
    [
        "session.scalars(select(Run).with_for_update(skip_locked=True))",
        "session.add(run)",
        "session.add_all(runs)",
        "session.delete(run)",
        "session.merge(run)",
        "session.flush()",
        "self.session.add(run)",
        "from sqlalchemy import select, update",
        "from sqlalchemy.dialects.postgresql import insert",
        "connection.execute(Run.__table__.delete())",
        "session.execute(text('SELECT pg_advisory_xact_lock(1)'))",
        "session.execute(text('DELETE FROM runs'))",
        "from app.database import changed_one",
        "from app.services import audit",
        "audit.record(session, actor, 'run.read')",
    ],
)
def test_what_a_query_must_not_do_is_found(planted: str) -> None:
    assert len(writes_and_locks(planted)) == 1


STEP_CLASSES = {"BaseStep", "CallStep", "InwardStep", "HttpStep", "WebhookStep", "HumanStep"}
# A remedy asks for the type of a connection, which bears the word of the step that uses it.
MAY_COMPARE = {"app/domain/remedies/remedy.py", "app/domain/remedies/refused.py"}


def looks_at_step_types(source: str) -> list[int]:
    """The lines that ask what type a step is: by isinstance, by a case of its class, by comparing with StepType."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            asked = {one.id for one in ast.walk(node.args[1]) if isinstance(one, ast.Name)}
            found += [node.lineno] if asked & STEP_CLASSES else []
        elif isinstance(node, ast.MatchClass) and isinstance(node.cls, ast.Name):
            found += [node.cls.lineno] if node.cls.id in STEP_CLASSES else []
        elif isinstance(node, ast.Compare | ast.MatchValue):
            named = [one.value for one in ast.walk(node) if isinstance(one, ast.Attribute)]
            types = any(isinstance(one, ast.Name) and one.id == "StepType" for one in named)
            words = any(isinstance(one, ast.Constant) and one.value == "human" for one in ast.walk(node))
            found += (
                [node.lineno if isinstance(node, ast.Compare) else node.value.lineno]
                if types or words
                else []
            )
    return found


def test_a_step_is_asked_and_its_type_is_looked_at_in_its_folder_alone() -> None:
    found = {
        f"{name(path)}:{line}"
        for path in modules()
        if not name(path).startswith("app/domain/steps/")
        for line in looks_at_step_types(path.read_text(encoding="utf-8"))
    }
    assert {one for one in found if one.split(":")[0] not in MAY_COMPARE} == set()


def test_no_template_compares_with_a_type_that_only_steps_have() -> None:
    asks = re.compile(r"""[!=]= *["']human["']|["']human["'] *[!=]=""")
    found = [
        name(path) for path in TEMPLATES.rglob("*.html") if asks.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ("isinstance(step, HttpStep)", True),
        ("isinstance(step, (HttpStep, WebhookStep))", True),
        ("not isinstance(step, HttpStep | HumanStep)", True),
        ("match step:\n    case HumanStep():\n        pass", True),
        ("step.type is StepType.HUMAN", True),
        ("kind == 'human'", True),
        ("match kind:\n    case StepType.HTTP:\n        pass", True),
        ("isinstance(edge, GoTo)", False),
        ("step.calls_out", False),
        ("StepType(word).label", False),
    ],
)
def test_the_look_for_step_types_sees_each_way_to_ask(source: str, is_found: bool) -> None:
    assert bool(looks_at_step_types(source)) is is_found


def test_only_the_settings_read_the_environment() -> None:
    reading = {
        name(path)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
        if isinstance(node.value, ast.Name) and node.value.id == "os"
    }
    # The supervisor hands its environment on to its children.
    assert reading <= {
        "app/config/settings.py",
        "app/local/supervisor/stack.py",
        "app/local/supervisor/__main__.py",
    }


def test_the_example_env_file_lists_every_setting_and_no_other() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    listed = re.findall(r"^([A-Z_]+)=", text, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == NAMES - INTERNAL_NAMES


@pytest.mark.parametrize("path", ["requirements.txt", "requirements-embedded.txt", "requirements-dev.txt"])
def test_every_package_has_its_exact_version(path: str) -> None:
    lines = [
        line for line in (ROOT / path).read_text(encoding="utf-8").splitlines() if line and line[0] != "#"
    ]
    pinned = re.compile(r"-r requirements[a-z-]*\.txt|[A-Za-z0-9._-]+==[^ ;]+( ; .+)?")
    assert [line for line in lines if not pinned.fullmatch(line)] == []


def borrowed(path: Path) -> list[str]:
    """What a file imports out of other tests, which then could neither be moved nor split."""
    another_test = re.compile(r"tests(\.\w+)*\.(conftest|test_\w+)(\.\w+)?")
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = ["." * node.level + f"{node.module or ''}.{alias.name}" for alias in node.names]
        else:
            continue
        found += [one for one in names if another_test.fullmatch(one) or one.startswith(".")]
    return found


def test_no_test_imports_another_test() -> None:
    assert {name(path): found for path in TESTS.rglob("*.py") if (found := borrowed(path))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "from tests.services.test_tasks import waiting_task",
        "from tests.domain.runs import test_decide",
        "import tests.web.conftest",
        "    from tests.conftest import ROOT",
        "from .test_tasks import waiting_task",
    ],
)
def test_an_import_out_of_another_test_is_found(line: str, tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(f"def it():\n    {line.strip()}\n", encoding="utf-8")
    assert len(borrowed(file)) == 1


# What fails by itself when it is not as it should be: of the tests' own helpers by name, and a state machine's run.
JUDGES = re.compile(r"_?(assert|check|expect|raises|refused|until$|run_state_machine)")


def judges(function: ast.FunctionDef, helpers: set[str]) -> bool:
    """Whether a function can fail for what it found: by itself, or through one of these helpers."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if (
                JUDGES.match(called)
                or called in helpers
                or {"expect", "status"} & {one.arg for one in node.keywords}
            ):
                return True
    return False


def empty_tests(source: str) -> list[str]:
    """The test functions of a module that pass whatever happens."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    helpers: set[str] = set()
    while more := {one.name for one in functions if one.name not in helpers and judges(one, helpers)}:
        helpers |= more
    return [one.name for one in functions if one.name.startswith("test_") and one.name not in helpers]


def test_every_test_can_fail() -> None:
    found = {name(path): empty_tests(path.read_text(encoding="utf-8")) for path in TESTS.rglob("test_*.py")}
    assert {path: tests for path, tests in found.items() if tests} == {}


def test_a_test_that_cannot_fail_is_found() -> None:
    source = """
def looked_at(page): assert page
def test_it(): looked_at(1)
def test_refusal():
    with pytest.raises(Conflict): act()
def test_nothing(): act()
"""
    assert empty_tests(source) == ["test_nothing"]


# Where the name of a way of signing in, or of a connection type, may be compared: their own files.
KNOWS_METHODS = "app/connectors/auth/"
KNOWS_TYPES = "app/connectors/types/"


def decisions(tree: ast.Module) -> Iterator[tuple[set[str], set[str], int]]:
    """Where code decides by a word: the names and keys that are looked at, the words, and the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            looked_at, held_against = [node], [node]
        elif isinstance(node, ast.Match):
            looked_at, held_against = [node.subject], [case.pattern for case in node.cases]
        else:
            continue
        words = {
            one.value for part in held_against for one in ast.walk(part) if isinstance(one, ast.Constant)
        }
        names = {
            getattr(one, "attr", None) or getattr(one, "id", None) or getattr(one, "value", None)
            for part in looked_at
            for one in ast.walk(part)
        }
        yield {str(one) for one in names}, {str(one) for one in words}, node.lineno


def decides_by_method(tree: ast.Module) -> list[int]:
    """Lines that compare something with the name of a way of signing in; "none" is a word of others as well."""
    telling = METHODS.keys() - {"none"}
    return [
        line
        for names, words, line in decisions(tree)
        # The scheme of a request to the console's own API is no matter of connections.
        if (words & telling and "scheme" not in names) or ("none" in words and "auth" in names)
    ]


def decides_by_type(tree: ast.Module) -> list[int]:
    """Lines that compare a connection's type with the name of one. A step's type is another matter."""
    return [
        line
        for names, words, line in decisions(tree)
        if words & TYPES.keys() and names & {"type", "connection_type"} and "step" not in names
    ]


def test_only_a_way_of_signing_in_knows_its_name() -> None:
    found = [
        f"{name(path)}:{line}"
        for path in modules()
        if not name(path).startswith(KNOWS_METHODS)
        for line in decides_by_method(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


def test_only_a_connection_type_knows_its_name() -> None:
    found = [
        f"{name(path)}:{line}"
        for path in modules()
        if not name(path).startswith(KNOWS_TYPES)
        for line in decides_by_type(ast.parse(path.read_text(encoding="utf-8")))
    ]
    for path in (TEMPLATES / "connections").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        found += [
            f"{name(path)}: {word}"
            for word in re.findall(r'[=!]= "(\w+)"', text)
            if word in {*TYPES, *METHODS}
        ]
    assert found == []


@pytest.mark.parametrize(
    "planted",
    [
        'if config.get("auth") == "bearer": pass',
        'if config["auth"] in ("basic", "api_key"): pass',
        'if connection.config.get("auth", "none") != "none": pass',
        'match config.get("auth"):\n    case "api_key":\n        pass',
        'text = value if kind == "basic" else value.strip()',
    ],
)
def test_a_planted_comparison_with_a_way_of_signing_in_is_found(planted: str) -> None:
    assert decides_by_method(ast.parse(planted)) == [1]


@pytest.mark.parametrize(
    "planted",
    [
        'if connection.type == "webhook": pass',
        'probe = connection_type != "http"',
        'match row.type:\n    case "webhook":\n        pass',
        'if row["type"] in ("http", "webhook"): pass',
    ],
)
def test_a_planted_comparison_with_a_connection_type_is_found(planted: str) -> None:
    assert decides_by_type(ast.parse(planted)) == [1]
