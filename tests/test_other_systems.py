"""What only Unix has is not needed to import anything."""

import subprocess
import sys
from pathlib import Path

import autoseg

WITHOUT_UNIX = """
import importlib, os, signal, sys

for module in ("fcntl", "pwd", "resource", "termios"):
    sys.modules[module] = None  # importing it is an ImportError
for name in ("sched_getaffinity", "geteuid", "fork", "O_NOFOLLOW"):
    delattr(os, name)
for name in ("pthread_sigmask", "pthread_kill", "SIG_BLOCK", "SIGKILL", "SIGHUP"):
    delattr(signal, name)
for module in sys.argv[1:]:
    importlib.import_module(module)
"""


def modules() -> list[str]:
    root = Path(autoseg.__file__).parent
    paths = [path.relative_to(root.parent).with_suffix("") for path in sorted(root.rglob("*.py"))]
    return [".".join(path.parts).removesuffix(".__init__") for path in paths if path.name != "__main__"]


def test_every_module_is_imported_without_what_only_unix_has() -> None:
    of_others = "autoseg.jobs.cluster."  # these load packages of the extra `cluster`, which ask the system themselves
    names = [name for name in modules() if not name.startswith(of_others)]
    assert {"autoseg", "autoseg.commands.train", "autoseg.storage.locks"} <= set(names)
    done = subprocess.run([sys.executable, "-c", WITHOUT_UNIX, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
