"""The client on the command line: see README.md."""

import argparse
import asyncio
import json
import os
import sys

import aio_pika
from commands import Commands
from events import Events


def arguments() -> argparse.Namespace:
    env = os.environ.get
    parser = argparse.ArgumentParser(description="Sends commands to tdfleet and follows its events.")
    parser.add_argument("--amqp", default=env("TDFLEET_AMQP", "amqp://guest:guest@127.0.0.1:5672/%2f"))
    parser.add_argument("--redis", default=env("TDFLEET_REDIS", "redis://127.0.0.1:6379/0"))
    parser.add_argument("--shards", type=int, default=int(env("TDFLEET_SHARDS", "64")))
    programs = parser.add_subparsers(dest="program", required=True)
    send = programs.add_parser("send", help="publish a command, print its answer")
    send.add_argument("account", type=int)
    send.add_argument("command")
    send.add_argument("fields", type=json.loads, nargs="?", default={}, help="a JSON object")
    send.add_argument("--by-event", action="store_true", help="wait for the event, not the reply")
    follow = programs.add_parser("follow", help="print an account's events as they come")
    follow.add_argument("account", type=int)
    follow.add_argument("--after", help="begin after the event with this id, not now")
    follow.add_argument("--count", type=int, help="end after so many")
    return parser.parse_args()


async def send(args: argparse.Namespace) -> int:
    async with Commands(args.amqp, args.shards) as commands:
        call = (args.account, args.command, args.fields)
        if args.by_event:
            event = await commands.call_by_event(Events(args.redis), *call)
        else:
            event = await commands.call(*call)
    print(json.dumps(event))
    return 1 if "error" in event["payload"] else 0


async def follow(args: argparse.Namespace) -> int:
    events = Events(args.redis)
    after = args.after or await events.newest(args.account)
    left = args.count
    async for event, gap in events.follow(args.account, after):
        if gap:
            print("events before the next one are gone", file=sys.stderr)
        print(json.dumps(event), flush=True)
        left = left and left - 1
        if left == 0:
            return 0


async def main() -> int:
    args = arguments()
    return await (send if args.program == "send" else follow)(args)


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        sys.exit(130)
    except TimeoutError:
        sys.exit("no answer in time")
    except (OSError, aio_pika.exceptions.AMQPError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
