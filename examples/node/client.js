// The client on the command line: see README.md.

import { parseArgs } from "node:util";
import { Commands } from "./commands.js";
import { Events } from "./events.js";

const USAGE = `node client.js [--amqp URI] [--redis URI] [--shards N] send ACCOUNT COMMAND [JSON] [--by-event]
node client.js [--redis URI] follow ACCOUNT [--after ID] [--count N]`;

function usage(wrong) {
  console.error(`${wrong}\n${USAGE}`);
  process.exit(2);
}

function readArguments() {
  const text = (value) => ({ type: "string", default: value });
  const options = {
    amqp: text(process.env.TDFLEET_AMQP ?? "amqp://guest:guest@127.0.0.1:5672/%2f"),
    redis: text(process.env.TDFLEET_REDIS ?? "redis://127.0.0.1:6379/0"),
    shards: text(process.env.TDFLEET_SHARDS ?? "64"),
    after: { type: "string" },
    count: text("Infinity"),
    "by-event": { type: "boolean" },
  };
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    const [program, account, command, fields = "{}"] = positionals;
    return { ...values, program, account: Number(account), command, fields: JSON.parse(fields) };
  } catch (error) {
    return usage(error.message);
  }
}

async function send({ amqp, redis, shards, account, command, fields, "by-event": byEvent }) {
  if (!command) usage("send wants an account and a command");
  const commands = await Commands.connect(amqp, Number(shards));
  const event = byEvent
    ? await commands.callByEvent(new Events(redis), account, command, fields)
    : await commands.call(account, command, fields);
  console.log(JSON.stringify(event));
  return "error" in event.payload ? 1 : 0;
}

async function follow({ redis, account, after, count }) {
  if (!account) usage("follow wants an account");
  const events = new Events(redis);
  let left = Number(count);
  for await (const { event, gap } of events.follow(account, after ?? (await events.newest(account)))) {
    if (gap) console.error("events before the next one are gone");
    console.log(JSON.stringify(event));
    left -= 1;
    if (left === 0) break;
  }
  return 0;
}

const args = readArguments();
const program = { send, follow }[args.program] ?? (() => usage("send or follow?"));
try {
  process.exitCode = await program(args);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
process.exit(); // connections are still open
