"""Redis through an SSH tunnel to its container. Sends declared reading commands only."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import redis.asyncio
import redis.exceptions

from acceptance.errors import RefusedError, UnavailableError
from acceptance.guard.redis import AUTH, COMMANDS
from acceptance.ledger import Ledger

READS = frozenset(COMMANDS) - {AUTH.name}
"""The commands that collectors may send; the client itself sends AUTH."""

Request = tuple[str | int, ...]
"""A command and its arguments."""


class Queue:
    """The CRM's Redis.

    Args:
        tunnel: opens the tunnel and returns the local Unix socket's path.
        user: None for Redis' default account.
        password: resolves the password when it is needed; None if there is none.
    """

    def __init__(
        self,
        tunnel: Callable[[], Awaitable[Path]],
        user: str | None,
        password: Callable[[], str | None],
        ledger: Ledger,
    ) -> None:
        self._tunnel = tunnel
        self._user = user
        self._password = password
        self._ledger = ledger
        self._client: redis.asyncio.Redis | None = None
        self._connecting = asyncio.Lock()

    async def send(self, requests: Sequence[Request]) -> list[Any]:
        """Send declared reading commands in one go and return their replies, text decoded.

        Raises:
            RefusedError: one of the commands is not declared.
            UnavailableError: Redis cannot be reached or refuses the login or a command.
        """
        counts = Counter(str(request[0]) for request in requests)
        undeclared = sorted(counts.keys() - READS)
        if undeclared:
            self._ledger.record("redis", undeclared[0], kind="refused", result="not declared")
            raise RefusedError(
                f"redis: {undeclared[0]} is not declared in acceptance/guard; nothing was sent"
            )
        started = time.perf_counter()
        result = "no answer"
        try:
            client = await self._connect()
            pipeline = client.pipeline(transaction=False)
            for command, *arguments in requests:
                pipeline.execute_command(command, *arguments)
            replies = await pipeline.execute()
            result = "answered"
        except (redis.exceptions.RedisError, OSError) as error:
            result = str(error) or type(error).__name__
            raise UnavailableError(f"Redis: {result}", "check Redis's address and password") from error
        finally:
            seconds = time.perf_counter() - started
            for command, count in counts.items():
                self._ledger.record("redis", command, detail=f"{count} times", seconds=seconds, result=result)
        return list(replies)

    async def _connect(self) -> redis.asyncio.Redis:
        async with self._connecting:
            if self._client is None:
                socket = await self._tunnel()
                self._client = redis.asyncio.Redis(
                    unix_socket_path=str(socket),
                    username=self._user,
                    password=self._password(),
                    decode_responses=True,
                    encoding_errors="backslashreplace",
                    socket_timeout=10,
                    protocol=2,
                    driver_info=None,
                )
        return self._client

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            await self._client.aclose()
