import { once } from "node:events";
import { connect, createServer } from "node:net";

/**
 * Stands between the gateways and Redis, and puts wrong replies in the place of Redis's own when it is told to: no
 * script of a real Redis can be made to answer with nil or a number.
 */

/** Commands whose replies may be replaced; the handshake of a connection stays as it is. */
const REPLACED = new Set(["EVALSHA", "EVAL", "XREAD", "XRANGE", "XREVRANGE", "ZRANGE"]);

/** Replies (RESP2) of a script or a command that no version expects. */
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
  // As the answer to the question for a lease: a state of another version, then fields that are missing or no numbers.
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

  /** Has the next replies be these. */
  answerWrongly(replies) {
    this.#wrong.push(...replies);
  }

  /** All replies are Redis's own again. */
  behave() {
    this.#wrong = [];
  }

  /** Ends every connection, as a Redis that restarts does. */
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

/** `*3\r\n$4\r\nXADD…`: the first bulk string. */
const commandOf = (request) =>
  /^\*\d+\r\n\$\d+\r\n(\w+)\r\n/.exec(request.toString("latin1", 0, 60))?.[1]?.toUpperCase();

/** Splits a connection into whole values of RESP2. */
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

/** Where the value that begins at `at` ends; -1 while it has not come whole. */
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
