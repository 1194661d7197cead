"""Redis through an SSH tunnel to its container. Sends declared reading commands only."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import redis.asyncio
import redis.exceptions

from acceptance.errors import RefusedError, UnavailableError
from acceptance.ledger import Ledger

READS = frozenset(
    {
        "CLIENT LIST", "EXISTS", "GET", "HMGET", "INFO", "LINDEX", "LLEN", "LRANGE", "PTTL", "SCAN",
        "TIME", "TYPE", "ZCARD", "ZRANGE",
    }
)  # fmt: skip
"""The commands the suite may send; an ACL user needs +@read, +client|list, +time and +info."""


class Queue:
    """The CRM's Redis.

    Args:
        tunnel: opens the tunnel and returns the local Unix socket's path.
        password: resolves the password when it is needed; None if there is none.
    """

    def __init__(
        self, tunnel: Callable[[], Awaitable[Path]], password: Callable[[], str | None], ledger: Ledger
    ) -> None:
        self._tunnel = tunnel
        self._password = password
        self._ledger = ledger
        self._client: redis.asyncio.Redis | None = None

    async def send(self, command: str, *arguments: str | int) -> Any:  # noqa: ANN401 - a reply is any value
        """Send a declared reading command and return the reply, text decoded.

        Raises:
            RefusedError: the command is not declared.
            UnavailableError: Redis cannot be reached or refuses the login or the command.
        """
        if command not in READS:
            self._ledger.record("redis", command, kind="refused", result="not declared")
            raise RefusedError(
                f"redis: {command} is not declared in acceptance/transports/redis.py; nothing was sent"
            )
        started = time.perf_counter()
        result = "no answer"
        try:
            client = await self._connect()
            reply = await client.execute_command(*command.split(), *arguments)  # type: ignore[no-untyped-call]
            result = "answered"
        except (redis.exceptions.RedisError, OSError) as error:
            result = str(error) or type(error).__name__
            raise UnavailableError(
                f"Redis, {command}: {result}", "check Redis's address and password"
            ) from error
        finally:
            self._ledger.record("redis", command, seconds=time.perf_counter() - started, result=result)
        return reply

    async def _connect(self) -> redis.asyncio.Redis:
        if self._client is None:
            socket = await self._tunnel()
            self._client = redis.asyncio.Redis(
                unix_socket_path=str(socket),
                password=self._password(),
                decode_responses=True,
                socket_timeout=10,
            )
        return self._client

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            await self._client.aclose()
