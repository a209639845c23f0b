import { once } from "node:events";
import { connect, createServer } from "node:net";

/**
 * A proxy between the gateways and Redis that replaces Redis's replies with wrong ones on demand: the scripts of a
 * real Redis never reply with nil or a number.
 */

/** The commands whose replies may be replaced; the handshake of a connection is not changed. */
const REPLACED = new Set(["EVALSHA", "EVAL", "XREAD", "XRANGE", "XREVRANGE", "ZRANGE"]);

/** Replies (RESP2) that no version expects from a script or a command. */
export const WRONG_REPLIES = [
  "$-1\r\n",
  ":5\r\n",
  ":-1\r\n",
  "*0\r\n",
  "*-1\r\n",
  "+OK\r\n",
  "$3\r\nabc\r\n",
  "-ERR no\r\n",
  "-WRONGTYPE no\r\n",
  "*1\r\n$-1\r\n",
  "*1\r\n*0\r\n",
  "*2\r\n:1\r\n:x\r\n".replace(":x", "$1\r\nx"),
  // As the reply to a lease request: a state of another version, then fields that are missing or not numbers.
  lease({ state: '{"is":"failed","status":503,"code":"backend_quota_exceeded","fields":[],"retryAt":1}' }),
  lease({ state: '{"is":"failed"}' }),
  lease({ token: "none", leftMs: "$1\r\na\r\n", top: "x" }),
  lease({ token: "9007199254740993", top: "1-" }),
  lease({ epoch: "another" }),
  // As the entries of a stream.
  "*1\r\n*2\r\n$3\r\n1-x\r\n*2\r\n$1\r\nb\r\n:5\r\n",
  "*1\r\n*2\r\n$3\r\n9-1\r\n*8\r\n$1\r\ni\r\n$4\r\na\n\nb\r\n$1\r\nn\r\n$1\r\n\0\r\n$1\r\nt\r\n$1\r\n5\r\n$1\r\nb\r\n$6\r\nbroken\r\n",
];

function lease({ token = "1", epoch = "e", state = "", leftMs = ":100\r\n", top = "0-0" }) {
  const bulk = (text) => `$${text.length}\r\n${text}\r\n`;
  return `*6\r\n:0\r\n${bulk(token)}${bulk(epoch)}${bulk(state)}${leftMs}${bulk(top)}`;
}

export class RedisProxy {
  #wrong = [];
  #sockets = new Set();
  #server;

  constructor(redisPort) {
    this.#server = createServer((client) => {
      const redis = connect(redisPort, "127.0.0.1");
      for (const socket of [client, redis]) {
        socket.setNoDelay(true);
        socket.on("error", () => {});
        this.#sockets.add(socket);
        socket.on("close", () => {
          this.#sockets.delete(socket);
          client.destroy();
          redis.destroy();
        });
      }
      this.#join(client, redis);
    });
  }

  async listen() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = this.#server.address().port;
    this.url = `redis://127.0.0.1:${this.port}`;
  }

  /** Sets the next replies. */
  answerWrongly(replies) {
    this.#wrong.push(...replies);
  }

  /** Restores Redis's own replies. */
  behave() {
    this.#wrong = [];
  }

  /** Ends every connection, like a Redis that restarts. */
  cut() {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  close() {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(client, redis) {
    const asked = [];
    const requests = new Splitter((request) => asked.push(commandOf(request)));
    const replies = new Splitter((reply) => {
      const isReplaced = REPLACED.has(asked.shift()) && this.#wrong.length > 0;
      client.write(isReplaced ? Buffer.from(this.#wrong.shift(), "latin1") : reply);
    });
    client.on("data", (bytes) => {
      requests.feed(bytes);
      redis.write(bytes);
    });
    redis.on("data", (bytes) => replies.feed(bytes));
  }
}

/** Returns the first bulk string of `*3\r\n$4\r\nXADD…`. */
const commandOf = (request) =>
  /^\*\d+\r\n\$\d+\r\n(\w+)\r\n/.exec(request.toString("latin1", 0, 60))?.[1]?.toUpperCase();

/** Splits a connection into complete RESP2 values. */
class Splitter {
  #pending = Buffer.alloc(0);
  #onValue;

  constructor(onValue) {
    this.#onValue = onValue;
  }

  feed(bytes) {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    for (let end = endOf(this.#pending, 0); end > 0; end = endOf(this.#pending, 0)) {
      this.#onValue(this.#pending.subarray(0, end));
      this.#pending = this.#pending.subarray(end);
    }
  }
}

/** Returns the end of the value at `at`; -1 while it is incomplete. */
function endOf(bytes, at) {
  const line = bytes.indexOf("\r\n", at);
  if (line < 0) return -1;
  const type = String.fromCharCode(bytes[at]);
  const count = Number(bytes.toString("latin1", at + 1, line));
  if (type === "$") {
    const end = count < 0 ? line + 2 : line + 2 + count + 2;
    return end <= bytes.length ? end : -1;
  }
  let end = line + 2;
  if (type !== "*") return end;
  for (let left = count; left > 0 && end > 0; left--) end = endOf(bytes, end);
  return end;
}
