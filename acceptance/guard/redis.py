"""Every Redis command the suite may send. What is not declared here cannot be sent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RedisCommand:
    """A declared Redis command.

    Attributes:
        arguments: what it is sent with; `PREFIX` is the target's `redis.prefix`.
    """

    name: str
    arguments: str
    purpose: str
    footprint: str = "counted in INFO commandstats; touches the keys' times of last use"


_STATISTICS = "counted in INFO commandstats"

AUTH = RedisCommand("AUTH", "<password>", "log in", _STATISTICS)

COMMANDS = {
    command.name: command
    for command in (
        AUTH,
        RedisCommand(
            "SCAN", "<cursor> MATCH PREFIX:*:meta COUNT 5000 TYPE hash", "find the queues", _STATISTICS
        ),
        RedisCommand("TIME", "", "read the server's clock, by which jobs' ages are told", _STATISTICS),
        RedisCommand("CLIENT LIST", "", "see which workers are connected to which queue", _STATISTICS),
        RedisCommand("HMGET", "<key> <field>…", "see whether a queue is paused, and a job's times"),
        RedisCommand("PTTL", "<key>", "see since when no worker renewed its check for stalled jobs"),
        RedisCommand("LLEN", "<key>", "count the jobs that wait or are worked on"),
        RedisCommand("LRANGE", "<key> <start> <stop>", "see the oldest and the newest of them"),
        RedisCommand("ZCARD", "<key>", "count the prioritised and the delayed jobs"),
        RedisCommand("ZRANGE", "<key> <start> <stop>", "see the oldest and the newest of them"),
        RedisCommand("EXISTS", "<key>", "see whether a worker holds a job's lock"),
    )
}
"""All of them, by name. An ACL user needs +@read, +client|list and +time."""
