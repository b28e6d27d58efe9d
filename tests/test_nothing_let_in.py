"""What the package must never do, shown over its own syntax tree: run what it reads, unpack to the disk, talk to the net."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "autoseg"
MODULES = sorted(PACKAGE.rglob("*.py"))

RUNS_WHAT_IT_READS = {
    "pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "yaml", "code",
    "runpy",
}  # fmt: skip
TALKS_TO_THE_NET = {
    "urllib", "http", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "telnetlib", "xmlrpc", "socketserver", "ssl",
}  # fmt: skip
RUNS_A_SHELL = {"subprocess", "pty", "pexpect"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
METHODS = {
    "extractall",  # of archives: writes wherever their members say
    "extract",
    "unpack_archive",
    "system",
    "popen",
    "import_module",
}


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0], node.lineno


def faults(source: str) -> list[str]:
    """Everything forbidden in a module."""
    tree = ast.parse(source)
    forbidden = RUNS_WHAT_IT_READS | TALKS_TO_THE_NET | RUNS_A_SHELL
    found = [f"line {line}: imports {name}" for name, line in imports(tree) if name in forbidden]
    for call in calls(tree):
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        match call.func:
            case ast.Name("import_module"):
                found.append(f"line {call.lineno}: calls import_module")
            case ast.Name(name) if name in BUILTINS:  # a method called eval, such as a network's, is another thing
                found.append(f"line {call.lineno}: calls {name}")
            case ast.Attribute(attr=name) if name in METHODS:
                found.append(f"line {call.lineno}: calls .{name}")
            case ast.Attribute(attr="load") if not call.args and not call.keywords:
                found.append(f"line {call.lineno}: calls .load(), as of an entry point")
            case ast.Attribute(value=ast.Name("torch"), attr="load" | "save" as name):
                found.append(f"line {call.lineno}: calls torch.{name}, which pickles")
            case ast.Attribute(value=ast.Name("np"), attr="load" | "save") if not _is(keywords.get("allow_pickle"), False):
                found.append(f"line {call.lineno}: numpy may pickle")
        if _is(keywords.get("allow_pickle"), True) or "shell" in keywords:
            found.append(f"line {call.lineno}: allows pickles or a shell")
    return found


def _is(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _is_run(called: ast.expr) -> bool:
    return ast.unparse(called).startswith("subprocess.")


LOADS_BY_NAME = {PACKAGE / "catalogue" / "table.py", PACKAGE / "commands" / "__init__.py"}
"""The modules that import by a name: those that tables and installed packages' entry points hold, never a file's."""

ASKS_A_DRIVER = PACKAGE / "jobs" / "nvidia.py"
"""The module that starts another program: the graphics cards' own, without a shell and with fixed arguments."""

ASKS_SLURM = PACKAGE / "jobs" / "preemption.py"
"""The module that asks SLURM about its own job, and to requeue it: without a shell, with that job's number."""

CARRIES_WORK = {
    "client.py": {"imports pickle"},
    "hosted.py": {"imports pickle", "imports subprocess"},
    "hosting.py": {"imports pickle"},
    "rounds.py": {"imports pickle"},
    "slurm_jobs.py": {"imports subprocess"},
}
"""The modules of `jobs/cluster` that carry a command's work to workers which the user named or started, and results home:
between these, whoever may connect may run anything anyway. Nothing that was stored is read there."""


@pytest.mark.parametrize("module", MODULES, ids=[str(path.relative_to(PACKAGE)) for path in MODULES])
def test_a_module_lets_nothing_in(module: Path) -> None:
    found = faults(module.read_text(encoding="utf-8"))
    if module in LOADS_BY_NAME:
        assert [fault.partition(": ")[2] for fault in found] == ["calls import_module"]
    elif module == ASKS_A_DRIVER:
        assert [fault.partition(": ")[2] for fault in found] == ["imports subprocess"]
        (started,) = [call for call in calls(ast.parse(module.read_text(encoding="utf-8"))) if _is_run(call.func)]
        assert ast.unparse(started.args[0]) == "(program, *_ASKED)"
    elif module == ASKS_SLURM:
        assert [fault.partition(": ")[2] for fault in found] == ["imports subprocess"]
    elif module.parent == PACKAGE / "jobs" / "cluster" and module.name in CARRIES_WORK:
        assert {fault.partition(": ")[2] for fault in found} == CARRIES_WORK[module.name]
    else:
        assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from pickle import loads", "import urllib.request", "import subprocess", "eval('1')", "exec(x)",
        "compile(x, '', 'exec')", "__import__('os')", "archive.extractall(place)", "os.system('ls')", "torch.load(path)",
        "torch.save(x, path)", "np.load(path)", "np.load(path, allow_pickle=True)", "run('ls', shell=True)",
        "importlib.import_module(name)", "import_module(name)", "point.load()", "shutil.unpack_archive(path)",
    ],
)  # fmt: skip
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert faults(source)


@pytest.mark.parametrize(
    "source",
    ["network.eval()", "re.compile('a')", "np.load(path, allow_pickle=False)", "from safetensors.torch import load"],
)
def test_the_search_leaves_the_rest_alone(source: str) -> None:
    assert not faults(source)


def test_nothing_is_stored_that_could_run() -> None:
    kinds = {path.suffix for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert kinds == {".py", ".typed", ".css", ".js", ".jinja"}
