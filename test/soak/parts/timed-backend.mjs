import { once } from "node:events";
import { createServer } from "node:http";

/** As `native/common.h` of the benchmark says: 100 bytes, the number and the time of CLOCK_MONOTONIC in ns. */
const FILLING = Array.from({ length: 61 }, (_, at) => String.fromCharCode(97 + ((at + 37) % 26))).join("");

function block(id) {
  const sentAt = process.hrtime.bigint();
  return `id: ${id}\ndata: ${String(id).padStart(10, "0")} ${String(sentAt).padStart(19, "0")} ${FILLING}\n\n`;
}

/** Numbered events that `native/clients.c` checks; a request with Last-Event-ID gets what follows that one. */
export class TimedBackend {
  count = 0;
  dials = 0;
  #open = new Set();
  #timer;
  #server = createServer((request, response) => {
    this.dials += 1;
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.flushHeaders();
    const last = Number(request.headers["last-event-id"] ?? this.count);
    for (let id = last + 1; id <= this.count; id++) response.write(block(id));
    this.#open.add(response);
    response.on("close", () => this.#open.delete(response));
  });

  async listen() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this.#server.address().port;
  }

  /** Requests that are under way. */
  get open() {
    return this.#open.size;
  }

  /** Sends so many events a second, as evenly as timers allow. */
  emit(rate) {
    const startedAt = performance.now();
    const before = this.count;
    this.#timer = setInterval(
      () => {
        const due = before + Math.floor(((performance.now() - startedAt) * rate) / 1000);
        while (this.count < due) {
          this.count += 1;
          const text = block(this.count);
          for (const response of this.#open) response.write(text);
        }
      },
      Math.max(1, 1000 / rate),
    );
  }

  stop() {
    clearInterval(this.#timer);
  }

  /** Breaks every answer off. */
  cut() {
    for (const response of this.#open) response.destroy();
  }
}
