"""Events come in by Redis."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import redis.asyncio as redis

# Before the first event of every account.
BEGINNING = "0-0"


class Events:
    """Reads and follows accounts' events."""

    def __init__(self, uri: str):
        """Connects later, when something is to be read."""
        self._redis = redis.from_url(uri, decode_responses=True, encoding_errors="replace")

    async def newest(self, account: int) -> str:
        """The id of the newest event; `BEGINNING` if there is none."""
        entries = await self._redis.xrevrange(f"tdfleet:{{{account}}}:log", count=1)
        return entries[0][0] if entries else BEGINNING

    async def follow(self, account: int, after: str) -> AsyncIterator[tuple[dict, bool]]:
        """Yields each event that comes after an id, once, in order, and for ever; and with each
        whether events before it are gone from the log (trimmed, or lost by Redis)."""
        last = after
        while True:
            try:
                async for heard in self._listen(account):
                    if heard and _order(_meta(heard)["event_id"]) <= _order(last):
                        continue
                    in_turn = heard and _is_next(heard, last)
                    events = _only(heard) if in_turn else self._read(account, last)
                    async for event in events:
                        gap = last != BEGINNING and not _is_next(event, last)
                        last = _meta(event)["event_id"]
                        yield event, gap
            except (redis.ConnectionError, redis.TimeoutError) as error:
                logging.warning("Redis is lost, trying again: %s", error)
                await asyncio.sleep(1)

    async def _listen(self, account: int) -> AsyncIterator[dict | None]:
        """Yields live events, and None whenever the subscription begins: what came before that
        moment was not heard, and is in the log. (redis-py subscribes again by itself.)"""
        async with self._redis.pubsub() as live:
            await live.subscribe(f"tdfleet:{{{account}}}:live")
            async for message in live.listen():
                is_event = message["type"] == "message"
                yield json.loads(message["data"]) if is_event else None

    async def _read(self, account: int, after: str) -> AsyncIterator[dict]:
        """Passes over entries that are not an event with their own id."""
        log = f"tdfleet:{{{account}}}:log"
        while entries := await self._redis.xrange(log, f"({after}", "+", count=100):
            for after, entry in entries:
                if f'"event_id":"{after}"' in entry.get("e", ""):
                    yield json.loads(entry["e"])


async def _only(event: dict) -> AsyncIterator[dict]:
    yield event


def _meta(event: dict) -> dict:
    return event["payload"]["_meta"]


def _is_next(event: dict, last: str) -> bool:
    """Whether nothing is missing between the event with the id `last` and this one."""
    prev = _meta(event).get("prev")
    return last == BEGINNING if prev is None else _order(prev) <= _order(last)


def _order(event_id: str) -> list[int]:
    """Event ids are compared as two numbers."""
    return [int(number) for number in event_id.split("-")]
