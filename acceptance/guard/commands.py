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
        timed: it is run first in its round trip, so that little but the way there and back lies between
            `Result.sent` and the answer.
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
    timed: bool = False
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

# the login and the way up to root

ACCOUNT = Command(
    name="account",
    script="id -u && id -un && { id -Gn; :; }",
    purpose="see who the login is, and in which groups",
)
CLOCK = Command(
    name="clock",
    script="exec date -u +%s.%N",
    purpose="compare the server's clock with the operator's",
    timed=True,
)
ROOT_IDENTITY = Command(
    name="root-identity",
    script="exec id -u",
    purpose="see that the way up to root leads there",
    privileged=True,
)


# the machine, its engine, and what else is installed

CAPACITY = Command(
    name="capacity",
    script=r"""
measure() {
  place=$2
  until [ -e "$place" ]; do
    place=${place%/*}
    place=${place:-/}
  done
  if answer=$(df -B1 --output=avail,itotal,iavail,target -- "$place" 2>&1); then
    printf '%s\n' "found|$1|$2|$(printf '%s\n' "$answer" | tail -n 1)"
  else
    printf '%s\n' "failed|$1|$2|$(printf '%s\n' "$answer" | tail -n 1)"
  fi
}
measure system /
measure deploy "$2"
said=$("$1" info --format '{{.DockerRootDir}}' 2>&1)
data=$(printf '%s\n' "$said" | grep '^/' | tail -n 1)
if [ -n "$data" ]; then measure docker "$data"
else printf '%s\n' "failed|docker||$(printf '%s\n' "$said" | tail -n 1)"; fi
""",
    purpose="see how much space and how many inodes are left where the deployment writes",
    privileged=True,
    parameters=(fixed("server.tools.docker"), fixed("compose.directory")),
)
MEMORY = Command(name="memory", script="exec cat /proc/meminfo", purpose="see how much memory is left")
ENGINE_VERSION = Command(
    name="engine-version",
    script="exec \"$1\" version --format '{{json .}}'",
    purpose="see that the container engine answers, and its version",
    privileged=True,
    parameters=(fixed("server.tools.docker"),),
)
COMPOSE_VERSION = Command(
    name="compose-version",
    script='exec "$1" compose version',
    purpose="see that root has the compose plugin, and its version",
    privileged=True,
    parameters=(fixed("server.tools.docker"),),
)
PORT_LISTENERS = Command(
    name="port-listeners",
    script=r"""
wanted=$(printf '%04X' "$1") || exit 3
for table in /proc/net/tcp /proc/net/tcp6; do
  if [ ! -e "$table" ]; then continue; fi
  while read -r _ local _ state _ _ _ _ _ inode _; do
    case $local:$state in *:"$wanted":0A) ;; *) continue ;; esac
    holder=$(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" -print -quit 2>/dev/null)
    holder=${holder#/proc/}
    holder=${holder%%/*}
    printf '%s\n' "listens ${local%:*} ${holder:--} $(cat "/proc/${holder:--}/comm" 2>/dev/null)"
  done <"$table" || exit 3
done
echo complete
""",
    purpose="see which process listens on the CRM's port",
    privileged=True,
    parameters=(fixed("compose.app_port"),),
)
PUBLISHED_PORTS = Command(
    name="published-ports",
    script="exec \"$1\" ps --no-trunc --format '{{json .}}'",
    purpose="see which containers publish ports on the server",
    privileged=True,
    parameters=(fixed("server.tools.docker"),),
)
CERTBOT_PROGRAM = Command(
    name="certbot-program",
    script=r"""
for place in "$1" /snap/bin/certbot; do
  if [ -f "$place" ] && [ -x "$place" ]; then echo "$place"; fi
done
""",
    purpose="see that certbot is installed; it is not run, because it would write its log",
    parameters=(fixed("server.tools.certbot"),),
)
CERTBOT_TIMERS = Command(
    name="certbot-timers",
    script="""
exec "$1" show --property=Id,LoadState,ActiveState,UnitFileState certbot.timer snap.certbot.renew.timer
""",
    purpose="see that certificates are renewed by themselves",
    parameters=(fixed("server.tools.systemctl"),),
)


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
NGINX_VISITS = Command(
    name="nginx-visits",
    script=r"""
log=$1 intake=$2 berths=$3
if [ ! -e "$log" ]; then
  if [ -x "${log%/*}/" ]; then exit 4; fi
  echo "${log%/*} may not be searched" >&2
  exit 5
fi
for file in "$log.1" "$log"; do
  if [ ! -f "$file" ]; then continue; fi
  lines=$(wc -l <"$file") || exit 5
  first=$(head -n 1 -- "$file") last=$(tail -n 1 -- "$file")
  printf '%s\n' "$first" "$last" | sed "s/^[^[]*\[\([^]]*\)\].*/\1/; 1s/^/log $lines /; 2s/^/until /"
  grep -hF -e " $intake" -e " $berths" -- "$file" | tail -n 2000
done
exit 0
""",
    purpose="see in nginx's access log who asks the CRM for berths or hands in inquiries; no address is kept",
    privileged=True,
    parameters=(fixed("nginx.access_log"), fixed("api.intake"), fixed("api.berths")),
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
_STACK = (fixed("server.tools.docker"), fixed("compose.project", "documenso.compose.project"))
CONTAINERS_INSPECT = Command(
    name="containers-inspect",
    script=_INSPECT_PROJECT,
    purpose="read the state, image, ports, mounts and variables of the project's containers",
    privileged=True,
    parameters=_STACK,
)
CONTAINERS_SAMPLE = Command(
    name="containers-sample",
    script="sleep 1" + _INSPECT_PROJECT,
    purpose="see a second later whether a container was restarted meanwhile",
    privileged=True,
    sample=True,
    parameters=_STACK,
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
_SHOW_FILE = r"""
stat -L -c '%F|%a|%U|%G' -- "$1/$2" || exit 3
if [ -f "$1/$2" ]; then exec cat -- "$1/$2"; fi
"""
_SHOW_COMPOSE_FILE = r"""
stat -L -c '%F|%a|%U|%G' -- "$1/$2" || exit 3
for name in compose.override.yml compose.override.yaml docker-compose.override.yml \
  docker-compose.override.yaml; do
  if [ -e "$1/$name" ]; then echo "$name"; fi
done
echo
if [ -f "$1/$2" ]; then exec cat -- "$1/$2"; fi
"""
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
DEPLOY_COMPOSE_FILE = Command(
    name="deploy-compose-file",
    script=_SHOW_COMPOSE_FILE,
    purpose="read the compose file",
    privileged=True,
    max_bytes=1024 * 1024,
    parameters=(fixed("compose.directory"), fixed("deploy.compose_file")),
)
STAGED_COMPOSE_FILE = Command(
    name="staged-compose-file",
    script=_SHOW_COMPOSE_FILE,
    purpose="read the compose file that waits in the staging directory",
    privileged=True,
    max_bytes=1024 * 1024,
    parameters=(fixed("deploy.staging"), fixed("deploy.compose_file")),
)
STAGED_ENV_FILE = Command(
    name="staged-env-file",
    script=_SHOW_FILE,
    purpose="read the .env file that waits in the staging directory; the values stay in memory",
    privileged=True,
    max_bytes=1024 * 1024,
    parameters=(fixed("deploy.staging"), fixed("compose.env_file")),
)
WEBSITE_CONTAINER = Command(
    name="website-container",
    script='exec "$1" container inspect "$2"',
    purpose="read the variables of the website's container; the values stay in memory",
    privileged=True,
    parameters=(fixed("server.tools.docker"), fixed("website.environment.container")),
)
WEBSITE_ENV_FILE = Command(
    name="website-env-file",
    script=DEPLOY_ENV_FILE.script,
    purpose="read the website's .env file; the values stay in memory",
    privileged=True,
    max_bytes=1024 * 1024,
    parameters=(fixed("website.environment.env_file"),),
)
REGISTRY_LOGINS = Command(
    name="registry-logins",
    script=r"""
place=$1
while [ -n "$place" ] && [ ! -e "$place" ]; do place=${place%/*}; done
if [ "$place" = "$1" ]; then exec cat -- "$1"; fi
if [ -x "${place:-/}" ]; then exit 4; fi
echo "${place:-/} may not be searched" >&2
exit 5
""",
    purpose="see that the server can log in to the registry; the login stays in memory",
    privileged=True,
    max_bytes=1024 * 1024,
    parameters=(fixed("registry.server_config"),),
)


# watching

_WATCHED = r"""
service='{{index .Config.Labels "com.docker.compose.service"}}'
oneoff='{{index .Config.Labels "com.docker.compose.oneoff"}}'
state='{{.State.Status}}|{{.RestartCount}}|{{.State.StartedAt}}'
exec "$docker" inspect --format "{{.Id}}|{{.Name}}|$service|$oneoff|$state" "$@"
"""
WATCH_PROJECT = Command(
    name="watch-project",
    script=r"""
docker=$1
date -u +%Y-%m-%dT%H:%M:%S.%NZ
ids=$("$docker" ps -aq --no-trunc --filter "label=com.docker.compose.project=$2") || exit $?
if [ -z "$ids" ]; then exit 0; fi
set -- $ids"""
    + _WATCHED,
    purpose="see while watching which containers the project has, and whether one was restarted",
    privileged=True,
    sample=True,
    parameters=_PROJECT,
)
WATCH_CONTAINER = Command(
    name="watch-container",
    script=r"""
docker=$1
shift
date -u +%Y-%m-%dT%H:%M:%S.%NZ"""
    + _WATCHED,
    purpose="see while watching whether the website's container was restarted",
    privileged=True,
    sample=True,
    parameters=(fixed("server.tools.docker"), fixed("website.logs")),
)
WATCH_LOG = Command(
    name="watch-log",
    script=r"""
{
  "$1" logs --timestamps --since "$3" --tail "$4" "$2" 2>&1
  printf '\nexit %s\n' "$?"
} | gzip -c | head -c "$5"
""",
    purpose="read the end of a container's log while watching",
    privileged=True,
    sample=True,
    timeout_s=30,
    max_bytes=LONGEST_LOG,
    parameters=(
        fixed("server.tools.docker"),
        free("container's id", r"[0-9a-f]{64}"),
        free("time", r"[0-9TZ:.+-]+"),
        free("number of lines", r"[0-9]+"),
        free("number of bytes", r"[0-9]+"),
    ),
)
