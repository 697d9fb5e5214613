// Commands go out by RabbitMQ.

import { randomUUID } from "node:crypto";
import amqplib from "amqplib";

// RabbitMQ sends what is published to this name back to the channel that asked; no queue is made.
const REPLY_TO = "amq.rabbitmq.reply-to";
// Longest wait for an answer, in milliseconds.
const PATIENCE = 60_000;

/** Publishes commands. Once RabbitMQ is lost, make a new one. */
export class Commands {
  #connection;
  #channel;
  #shards;
  #waiting = new Map();
  #returned = new Set();

  /** Connects to RabbitMQ; `shards` is the installation's `shard_count`. */
  static async connect(uri, shards) {
    const commands = new Commands();
    await commands.#connect(uri, shards);
    return commands;
  }

  async #connect(uri, shards) {
    this.#shards = shards;
    this.#connection = await amqplib.connect(uri);
    this.#connection.on("error", () => {}); // "close" comes next
    this.#connection.on("close", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("RabbitMQ is lost"));
    });
    this.#channel = await this.#connection.createConfirmChannel();
    this.#channel.on("error", () => {}); // the confirms that are missing tell of it
    // A message that no queue takes comes back, right before its confirm.
    this.#channel.on("return", ({ properties }) => this.#returned.add(properties.messageId));
    await this.#channel.consume(REPLY_TO, (message) => this.#replied(message), { noAck: true });
  }

  /**
   * Resolves to the command's id once the command is safe on a queue of RabbitMQ. After an error
   * that is no refusal (a lost connection) publish it again, with the same id.
   */
  publish(account, command, fields = {}, { commandId = randomUUID(), replyTo } = {}) {
    // Past its deadline no worker runs the command any more.
    const _meta = { deadline: new Date(Date.now() + PATIENCE).toISOString() };
    const body = { ...fields, command, userbot_id: account, command_id: commandId, _meta };
    const content = Buffer.from(JSON.stringify(body));
    const shard = String(crc32(String(account)) % this.#shards).padStart(3, "0");
    const key = `cmd_hi.s${shard}.acc.${account}.${command}`;
    const options = {
      persistent: true,
      mandatory: true,
      contentType: "application/json",
      messageId: commandId,
      correlationId: commandId,
      replyTo,
    };
    return inTime((resolve, reject) => {
      this.#channel.publish("tdfleet.commands", key, content, options, (refused) => {
        if (refused) reject(refused);
        else if (this.#returned.delete(commandId)) reject(new Error("no queue takes the command"));
        else resolve(commandId);
      });
    });
  }

  // Two ways to wait for the answer. Both give the same event: `payload` has `result`, or `error`.

  /** By AMQP's `reply_to`: quick, and without Redis. The answer is lost with the connection. */
  async call(account, command, fields) {
    const commandId = randomUUID();
    const answer = inTime((resolve, reject) => this.#waiting.set(commandId, { resolve, reject }));
    const published = this.publish(account, command, fields, { commandId, replyTo: REPLY_TO });
    try {
      const [event] = await Promise.all([answer, published]);
      return event;
    } finally {
      this.#waiting.delete(commandId);
    }
  }

  /** By the account's log: whoever has the id finds the answer there, even days later. */
  async callByEvent(events, account, command, fields) {
    const before = await events.newest(account);
    const commandId = await this.publish(account, command, fields);
    const following = events.follow(account, before, AbortSignal.timeout(PATIENCE));
    for await (const { event } of following) {
      if (event.payload._meta.command_id === commandId) return event;
    }
  }

  close() {
    return this.#connection.close();
  }

  #replied(message) {
    this.#waiting.get(message?.properties.correlationId)?.resolve(JSON.parse(message.content));
  }
}

/** A promise that is rejected when it takes too long. */
function inTime(executor) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no answer in time")), PATIENCE);
    new Promise(executor).then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** CRC-32 as in zip; newer Nodes have it as `zlib.crc32`. */
function crc32(text) {
  let crc = ~0;
  for (const byte of Buffer.from(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
