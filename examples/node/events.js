// Events come in by Redis.

import { EventEmitter, on } from "node:events";
import { Redis } from "ioredis";

// Before the first event of every account.
export const BEGINNING = "0-0";

/** Reads and follows accounts' events. */
export class Events {
  constructor(uri) {
    this.redis = patient(new Redis(uri, { maxRetriesPerRequest: null }));
  }

  /** The id of the newest event; `BEGINNING` if there is none. */
  async newest(account) {
    const [entry] = await this.redis.xrevrange(`tdfleet:{${account}}:log`, "+", "-", "COUNT", 1);
    return entry?.[0] ?? BEGINNING;
  }

  /**
   * Yields each event that comes after an id, once, in order, until aborted: `{ event, gap }`, where
   * `gap` says that events before it are gone from the log (trimmed, or lost by Redis).
   */
  async *follow(account, after, signal) {
    let last = after;
    for await (const heard of this.#listen(account, signal)) {
      if (heard && order(heard.payload._meta.event_id, last) <= 0) continue;
      const events = heard && isNext(heard, last) ? [heard] : this.#read(account, last);
      for await (const event of events) {
        const gap = last !== BEGINNING && !isNext(event, last);
        last = event.payload._meta.event_id;
        yield { event, gap };
      }
    }
  }

  /**
   * Yields live events, and null whenever the subscription begins: what came before that moment, or
   * while the connection was lost, was not heard, and is in the log.
   */
  async *#listen(account, signal) {
    const live = patient(this.redis.duplicate({ autoResubscribe: false }));
    const inbox = new EventEmitter();
    const begun = () => inbox.emit("heard", null);
    live.on("ready", () => live.subscribe(`tdfleet:{${account}}:live`).then(begun, () => {}));
    live.on("message", (_, text) => inbox.emit("heard", JSON.parse(text)));
    try {
      for await (const [heard] of on(inbox, "heard", { signal })) yield heard;
    } finally {
      live.disconnect();
    }
  }

  /** Passes over entries that are not an event with their own id. */
  async *#read(account, after) {
    for (let entries; ; ) {
      entries = await this.redis.xrange(`tdfleet:{${account}}:log`, `(${after}`, "+", "COUNT", 100);
      if (entries.length === 0) return;
      for (const [id, [, text]] of entries) {
        if (text.includes(`"event_id":"${id}"`)) yield JSON.parse(text);
      }
      after = entries.at(-1)[0];
    }
  }
}

/** Whether nothing is missing between the event with the id `last` and this one. */
function isNext(event, last) {
  const { prev } = event.payload._meta;
  return prev === undefined ? last === BEGINNING : order(prev, last) <= 0;
}

/** Compares two event ids: by epoch, then by number. */
function order(a, b) {
  const [[epochA, a1], [epochB, b1]] = [a, b].map((id) => id.split("-").map(BigInt));
  return Number(epochA - epochB) || Number(a1 - b1);
}

/** ioredis connects again by itself; without a listener it would print a stack each time. */
function patient(redis) {
  return redis.on("error", (error) => console.warn(`Redis is lost, trying again: ${error.message}`));
}
