"""Keeps the suite's Python environment in .venv: `environment.py rehearsal` or `environment.py dev`.

Packages come from the lock files in requirements/, checked against their hashes, and are never built
from source; where they come from is the user's own pip configuration. The project itself is linked, not
copied: a path file makes its packages importable, and a script starts its command line.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import venv
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
ENVIRONMENT = PROJECT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
COMMAND = ENVIRONMENT / "bin" / "acceptance"

DESCRIPTION = {
    "METADATA": "Metadata-Version: 2.1\nName: port-nimara-acceptance\nVersion: 0.1.0\n",
    "entry_points.txt": "[pytest11]\nacceptance-argv = acceptance.argv\n",
    "INSTALLER": "make\n",
    "RECORD": "",
}
"""What pip would write about the installed project; pytest finds its plugins there."""


def usable(python: Path) -> bool:
    """Tell whether the environment's Python runs, and lives where its scripts say it does."""
    if not python.exists():
        return False
    shown = subprocess.run(
        [python, "-c", "import pip, sys; print(sys.prefix)"], capture_output=True, text=True, check=False
    )
    pip = python.with_name("pip")
    return shown.returncode == 0 and pip.exists() and str(python.parent) in pip.read_text(encoding="utf-8")


def install(lock: Path) -> None:
    """Install what a lock file names.

    Raises:
        subprocess.CalledProcessError: pip failed; it has said why.
    """
    subprocess.run(
        [
            *(PYTHON, "-m", "pip", "install", "-qq", "--require-hashes", "--no-deps"),
            *("--only-binary", ":all:", "--requirement", lock),
        ],
        check=True,
    )
    subprocess.run([PYTHON, "-m", "pip", "check"], check=True, stdout=subprocess.DEVNULL)


def link_project() -> None:
    """Make the project's packages importable, its command runnable and its pytest plugin known."""
    shown = subprocess.run(
        [PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    packages = Path(shown.stdout.strip())
    (packages / "port_nimara_acceptance.pth").write_text(f"{PROJECT}\n", encoding="utf-8")
    described = packages / "port_nimara_acceptance-0.1.0.dist-info"
    described.mkdir(exist_ok=True)
    for name, text in DESCRIPTION.items():
        (described / name).write_text(text, encoding="utf-8")
    COMMAND.write_text(command_script(PYTHON), encoding="utf-8")
    COMMAND.chmod(0o755)


def command_script(python: Path) -> str:
    """Return the script that starts the command line, for any length of the path to Python."""
    return f"""#!/bin/sh
exec {shlex.quote(str(python))} -c 'import sys; from acceptance.cli import main; sys.exit(main())' "$@"
"""


def main() -> int:
    """Bring the environment up to the level asked for; return the exit code."""
    level = sys.argv[1]
    if not usable(PYTHON):
        print(f"Making a Python {sys.version.split()[0]} environment in .venv.", flush=True)
        venv.create(ENVIRONMENT, clear=True, symlinks=True, with_pip=True)
    print(f"Installing requirements/{level}.txt into .venv, checked against its hashes.", flush=True)
    try:
        install(PROJECT / "requirements" / f"{level}.txt")
    except subprocess.CalledProcessError as error:
        print(f"pip failed (exit code {error.returncode}); see above.", file=sys.stderr)
        return error.returncode
    link_project()
    (ENVIRONMENT / f".{level}-installed").touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
