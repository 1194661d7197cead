"""Runs a command as an ordinary user where the tests run as root: `python -m selftest.ordinary_user CMD…`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from rehearsal import namespace

UID = 61500
NAME = "tester"


def command(*argv: str) -> list[str]:
    """Return the command line that runs `argv` as an ordinary user; as such a user it is `argv` itself."""
    if os.getuid() != 0:
        return list(argv)
    return [sys.executable, "-m", "selftest.ordinary_user", *argv]


def main() -> None:
    """Become the user, in a private mount namespace where the interpreter can be read, and run the command.

    The namespace ends with the command; /tmp is shared with the machine.
    """
    namespace.make_private([Path(sys.base_prefix), Path(sys.prefix), namespace.REPOSITORY])
    with tempfile.NamedTemporaryFile("w", delete=False) as passwd:
        passwd.write(Path("/etc/passwd").read_text() + f"{NAME}:x:{UID}:{UID}::/run/{NAME}:/bin/bash\n")
    Path(passwd.name).chmod(0o644)
    namespace.replace_file(Path("/etc/passwd"), Path(passwd.name))
    Path(passwd.name).unlink()
    home = Path("/run") / NAME
    home.mkdir()
    os.chown(home, UID, UID)
    os.environ.update(HOME=str(home), USER=NAME, LOGNAME=NAME)
    os.chdir(namespace.REPOSITORY)
    os.setgroups([])
    os.setgid(UID)
    os.setuid(UID)
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
