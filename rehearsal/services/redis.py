"""Redis as the compose project's queue and cache, on the volume redisdata."""

from __future__ import annotations

import functools
import shutil
import socket
import subprocess
from pathlib import Path

from rehearsal.runtime.spec import Container, Image, Mount
from rehearsal.services.files import make_directory, write
from rehearsal.site import Site

PORT = 6379
DATA = "/data"

_CONFIG = """\
bind {address}
port {port}
daemonize no
dir {data}
logfile ""
requirepass {password}
appendonly yes
appendfsync no
save ""
maxmemory-policy noeviction
"""


def binary() -> str:
    """Return the server's absolute path.

    Raises:
        OSError: Redis is not installed.
    """
    found = shutil.which("redis-server", path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if found is None:
        raise OSError("Redis is not installed; `make rehearsal` installs it")
    return found


@functools.cache
def reference() -> str:
    """Return the image reference of the container, with the major version that is installed.

    Raises:
        OSError: Redis is not installed.
    """
    output = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True).stdout
    version = output.split("v=", 1)[1].split(".", 1)[0]
    return f"redis:{version}"


def container(site: Site, image: Image) -> Container:
    """Write the configuration and return the container; its health check is an authenticated PING.

    Raises:
        OSError: Redis is not installed, or a file cannot be written.
    """
    account, address = site.account("redis"), site.address("redis")
    data = make_directory(site.root / "volumes" / "redisdata", mode=0o700, account=account)
    config = _write_config(site, data)
    return Container(
        service="redis",
        image=image,
        reference=reference(),
        argv=(binary(), str(config)),
        env={},
        account=account,
        address=address,
        ready=lambda: _pong(site),
        ports=(PORT,),
        mounts=(Mount("redisdata", DATA, data),),
        health=lambda: None if _pong(site) else f"Could not connect to Redis at {address}:{PORT}",
        cwd=data,
    )


def _write_config(site: Site, data: Path) -> Path:
    text = _CONFIG.format(
        address=site.address("redis"), port=PORT, data=data, password=site.credentials.redis_password
    )
    path = site.containers / "redis" / "redis.conf"
    return write(path, text, mode=0o600, account=site.account("redis"))


def _pong(site: Site) -> bool:
    request = f"AUTH {site.credentials.redis_password}\r\nPING\r\n".encode()
    try:
        with socket.create_connection((site.address("redis"), PORT), timeout=2) as connection:
            connection.sendall(request)
            with connection.makefile("rb") as stream:
                return stream.readline() == b"+OK\r\n" and stream.readline() == b"+PONG\r\n"
    except OSError:
        return False
