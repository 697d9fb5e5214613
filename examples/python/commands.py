"""Commands go out by RabbitMQ."""

import asyncio
import json
import uuid
import zlib
from contextlib import aclosing
from datetime import datetime, timedelta, timezone

import aio_pika
from events import Events

# RabbitMQ sends what is published to this name back to the channel that asked; no queue is made.
REPLY_TO = "amq.rabbitmq.reply-to"
# Longest wait for an answer, in seconds.
PATIENCE = 60


class Commands:
    """Publishes commands. Use with `async with`; once RabbitMQ is lost, make a new one."""

    def __init__(self, uri: str, shards: int):
        """`shards` is the installation's `shard_count`."""
        self._uri, self._shards = uri, shards
        self._waiting: dict[str, asyncio.Future] = {}

    async def __aenter__(self) -> "Commands":
        self._connection = await aio_pika.connect(self._uri)
        # Every message is confirmed; one that is refused, or that no queue takes, raises.
        channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        self._exchange = await channel.get_exchange("tdfleet.commands", ensure=False)
        replies = await channel.get_queue(REPLY_TO, ensure=False)
        await replies.consume(self._replied, no_ack=True)
        return self

    async def __aexit__(self, *_) -> None:
        await self._connection.close()

    async def publish(self, account: int, command: str, fields: dict | None = None, *,
                      command_id: str | None = None, reply_to: str | None = None) -> str:
        """Returns the command's id once the command is safe on a queue of RabbitMQ.

        After an error that is no refusal (a lost connection) publish it again, with the same id.
        """
        command_id = command_id or str(uuid.uuid4())
        # Past its deadline no worker runs the command any more.
        deadline = datetime.now(timezone.utc) + timedelta(seconds=PATIENCE)
        body = (fields or {}) | {
            "command": command, "userbot_id": account, "command_id": command_id,
            "_meta": {"deadline": deadline.isoformat()},
        }
        message = aio_pika.Message(
            json.dumps(body).encode(),
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=command_id, correlation_id=command_id, reply_to=reply_to,
        )
        shard = zlib.crc32(str(account).encode()) % self._shards
        key = f"cmd_hi.s{shard:03}.acc.{account}.{command}"
        await self._exchange.publish(message, key, mandatory=True, timeout=PATIENCE)
        return command_id

    # Two ways to wait for the answer. Both give the same event: `payload` has `result`, or `error`.

    async def call(self, account: int, command: str, fields: dict | None = None) -> dict:
        """By AMQP's `reply_to`: quick, and without Redis. The answer is lost with the connection."""
        command_id = str(uuid.uuid4())
        answer = self._waiting[command_id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(PATIENCE):
                await self.publish(
                    account, command, fields, command_id=command_id, reply_to=REPLY_TO
                )
                return await answer
        finally:
            del self._waiting[command_id]

    async def call_by_event(self, events: Events, account: int, command: str,
                            fields: dict | None = None) -> dict:
        """By the account's log: whoever has the id finds the answer there, even days later."""
        before = await events.newest(account)
        command_id = await self.publish(account, command, fields)
        async with (
            asyncio.timeout(PATIENCE),
            aclosing(events.follow(account, before)) as following,
        ):
            async for event, _ in following:
                if event["payload"]["_meta"].get("command_id") == command_id:
                    return event

    def _replied(self, message: aio_pika.abc.AbstractIncomingMessage) -> None:
        answer = self._waiting.get(message.correlation_id)
        if answer and not answer.done():
            answer.set_result(json.loads(message.body))
