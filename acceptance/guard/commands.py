"""Every remote command the suite may run. What is not declared here cannot be sent."""

from __future__ import annotations

from dataclasses import dataclass

from acceptance.guard.parameters import Parameter, fixed, free, many
from acceptance.target import LONGEST_LOG


@dataclass(frozen=True)
class Command:
    """A declared remote command.

    Attributes:
        name: how the ledger and the printed list call it.
        script: POSIX sh; takes its arguments as "$1", "$2", …, so nothing is ever interpolated.
        purpose: why the suite runs it, for the server's owner.
        privileged: needs root on an ordinary server.
        plain_too: without root it is run as the login, and shows what that may see.
        any_file: shows whatever file its arguments name, so the root helper does not hold it.
        footprint: what looking leaves behind on the server; "none" for nothing but access times.
        action: name of the approval it needs; empty for a read.
        max_bytes: a longer output is cut off, and what depends on it is UNKNOWN.
        sample: a declared sample of a watch, read anew each time; never shared between callers.
        parameters: what it may be called with; anything else is refused.
    """

    name: str
    script: str
    purpose: str
    privileged: bool = False
    plain_too: bool = False
    any_file: bool = False
    footprint: str = "none"
    action: str = ""
    timeout_s: float = 20
    max_bytes: int = 8 * 1024 * 1024
    sample: bool = False
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True)
class Call:
    """A declared command with its arguments."""

    command: Command
    arguments: tuple[str, ...] = ()


def call(command: Command, *arguments: object) -> Call:
    """Bind arguments to a declared command."""
    return Call(command, tuple(str(argument) for argument in arguments))


_PATH = ".+"

# nginx and certificates

NGINX_TREE = Command(
    name="nginx-tree",
    script=r"""
root=$1 letsencrypt=$2
set -- "${root%/}/"
for options in "$letsencrypt"/options-ssl-*.conf; do
  if [ -f "$options" ]; then set -- "$@" "$options"; fi
done
exec tar -cPf - --format=pax --exclude='*.key' --exclude='*.pem' --exclude='*.p12' --exclude='*.pfx' \
  --exclude='*htpasswd*' --exclude='.git' -- "$@"
""",
    purpose="read nginx's configuration files, without keys and password files",
    privileged=True,
    plain_too=True,
    parameters=(fixed("nginx.root"), fixed("tls.letsencrypt")),
)
NGINX_BUILD = Command(
    name="nginx-build",
    script='exec "$1" -V 2>&1',
    purpose="learn nginx's version and the paths it was built with",
    parameters=(fixed("server.tools.nginx"),),
)
NGINX_INCLUDES = Command(
    name="nginx-includes",
    script=r"""
reachable() {
  place=$1
  while [ -n "$place" ] && [ ! -e "$place" ]; do place=${place%/*}; done
  [ -r "${place:-/}" ] && [ -x "${place:-/}" ]
}
IFS=
count=$#
for pattern do
  if ! reachable "${pattern%/*}"; then echo "unreadable $pattern" >&2; fi
  for path in $pattern; do
    if [ ! -f "$path" ]; then continue; fi
    if [ -r "$path" ]; then set -- "$@" "$path"; else echo "unreadable $pattern" >&2; fi
  done
done
shift "$count"
if [ $# -eq 0 ]; then exit 0; fi
exec tar -chPf - --format=pax -- "$@"
""",
    purpose="read the files that nginx's configuration includes from elsewhere",
    privileged=True,
    plain_too=True,
    any_file=True,
    parameters=(many("path that nginx's configuration includes", _PATH),),
)
NGINX_PROCESSES = Command(
    name="nginx-processes",
    script=r"""
if [ ! -e "$1" ]; then
  if [ -x "${1%/*}/" ]; then echo "stopped no pid file $1"; else echo "hidden ${1%/*} may not be searched"; fi
  exit 0
fi
master=$(cat "$1") || exit 3
case $master in
  '' | *[!0-9]*) echo "stopped the pid file $1 holds no process id"; exit 0 ;;
esac
if [ ! -r "/proc/$master/stat" ]; then
  case $(kill -0 "$master" 2>&1) in
    *"No such process"*) echo "stopped process $master of the pid file $1 is gone" ;;
    *) echo "hidden process $master belongs to somebody else and /proc hides it" ;;
  esac
  exit 0
fi
title() { tr '\0\n' '  ' <"$1/cmdline" 2>/dev/null; }
started() { line=$(cat "$1/stat" 2>/dev/null) || return 1; set -- ${line##*) }; echo "$2 ${20}"; }
echo "hertz $(getconf CLK_TCK)"
echo "now $(started /proc/self) $(date +%s.%N)"
echo "master $master $(started "/proc/$master") $(title "/proc/$master")"
for process in /proc/[0-9]*; do
  { IFS= read -r line <"$process/stat"; } 2>/dev/null || continue
  set -- ${line##*) }
  if [ "$2" = "$master" ]; then echo "child ${process#/proc/} $2 ${20} $(title "$process")"; fi
done
""",
    purpose="see since when nginx's workers run",
    privileged=True,
    plain_too=True,
    parameters=(free("pid file of nginx's configuration", _PATH),),
)
NGINX_NAMED_FILES = Command(
    name="nginx-named-files",
    script=r"""
for path do
  if answer=$(stat -L -c %F -- "$path" 2>&1); then echo "found $answer"; else echo "absent $answer"; fi
done
""",
    purpose="see that the certificates, keys and other files named in nginx's configuration exist",
    privileged=True,
    parameters=(many("path that nginx's configuration names", _PATH),),
)
NGINX_TEST = Command(
    name="nginx-test",
    script='exec "$1" -t -c "$2" 2>&1',
    purpose="let nginx itself judge its configuration",
    privileged=True,
    footprint="may create missing log, pid and temp directories; with nginx running none",
    action="nginx-test",
    parameters=(fixed("server.tools.nginx"), fixed("nginx.config")),
)
CERTIFICATES_TREE = Command(
    name="certificates-tree",
    script=r"""
if [ ! -d "$1" ]; then
  if [ -e "$1" ]; then echo "$1 is no directory" >&2; exit 5; fi
  if [ -x "${1%/*}/" ]; then exit 4; fi
  echo "${1%/*} may not be searched" >&2
  exit 5
fi
exec tar -cPf - --format=pax --exclude='privkey*' --exclude='*.key' --exclude="${1%/}/keys" \
  --exclude="${1%/}/accounts" --exclude="${1%/}/csr" -- "${1%/}/"
""",
    purpose="read certbot's certificates and renewal settings, without any private key",
    privileged=True,
    parameters=(fixed("tls.letsencrypt"),),
)


# containers, their images and their logs; the .env file

_INSPECT_PROJECT = r"""
date -u +%Y-%m-%dT%H:%M:%SZ
ids=$("$1" ps -aq --no-trunc --filter "label=com.docker.compose.project=$2") || exit $?
if [ -z "$ids" ]; then echo '[]'; exit 0; fi
exec "$1" inspect $ids
"""
_PROJECT = (fixed("server.tools.docker"), fixed("compose.project"))
CONTAINERS_INSPECT = Command(
    name="containers-inspect",
    script=_INSPECT_PROJECT,
    purpose="read the state, image, ports, mounts and variables of the project's containers",
    privileged=True,
    parameters=_PROJECT,
)
CONTAINERS_SAMPLE = Command(
    name="containers-sample",
    script="sleep 1" + _INSPECT_PROJECT,
    purpose="see a second later whether a container was restarted meanwhile",
    privileged=True,
    sample=True,
    parameters=_PROJECT,
)
IMAGES_INSPECT = Command(
    name="images-inspect",
    script=r"""
docker=$1
shift
exec "$docker" image inspect "$@"
""",
    purpose="read digests and labels of the images in use",
    privileged=True,
    parameters=(fixed("server.tools.docker"), many("image's id", r"sha256:[0-9a-f]{64}")),
)
CONTAINER_LOG = Command(
    name="container-log",
    script=r"""
{
  "$1" logs --timestamps --since "$3" "$2" 2>&1
  printf '\nexit %s\n' "$?"
} | gzip -c | head -c "$4"
""",
    purpose="read a container's log since its start",
    privileged=True,
    timeout_s=60,
    max_bytes=LONGEST_LOG,
    parameters=(
        fixed("server.tools.docker"),
        free("container's id", r"[0-9a-f]{64}"),
        free("time", r"[0-9TZ:.+-]+"),
        free("number of bytes", r"[0-9]+"),
    ),
)
DEPLOY_ENV_FILE = Command(
    name="deploy-env-file",
    script=r"""
stat -L -c '%F|%a|%U|%G' -- "$1" || exit 3
if [ -f "$1" ]; then exec cat -- "$1"; fi
""",
    purpose="compare the .env file with what the containers hold; the values stay in memory",
    privileged=True,
    max_bytes=1024 * 1024,
    parameters=(fixed("compose.env_path"),),
)
