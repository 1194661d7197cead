"""What is done over SSH besides the declared commands; the ledger has it under these names."""

from __future__ import annotations

from acceptance.guard.commands import Command

LOGIN = Command(
    name="ssh-login",
    script="",
    purpose="log in once; every command and tunnel of the run uses this connection",
    footprint="a login in the authentication log, wtmp and lastlog",
)
ROOT = Command(
    name="ssh-root",
    script="",
    purpose="become root once, by su or sudo, for the commands that need it",
    footprint="a line in the authentication log",
)
TUNNEL = Command(
    name="ssh-tunnel",
    script="",
    purpose="reach the port of the PostgreSQL or the Redis container from the operator's machine",
    footprint="at sshd's log level VERBOSE or above a line in the authentication log",
)
DEEDS = (LOGIN, ROOT, TUNNEL)
"""All of them."""

HELPER_FOOTPRINT = "a line in the authentication log for each privileged command"
"""What sudo leaves behind where a root helper runs the privileged commands."""
