import { once } from "node:events";
import { createServer } from "node:http";

/** The format of the benchmark's `native/common.h`: 100 bytes with the number and CLOCK_MONOTONIC in ns. */
const FILLING = Array.from({ length: 61 }, (_, at) => String.fromCharCode(97 + ((at + 37) % 26))).join("");

function block(id) {
  const sentAt = process.hrtime.bigint();
  return `id: ${id}\ndata: ${String(id).padStart(10, "0")} ${String(sentAt).padStart(19, "0")} ${FILLING}\n\n`;
}

/** Numbered events that `native/clients.c` checks; a request with Last-Event-ID gets the events after that id. */
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

  /** The open requests. */
  get open() {
    return this.#open.size;
  }

  /** Sends this many events per second, as evenly as timers allow. */
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

  /** Aborts every response. */
  cut() {
    for (const response of this.#open) response.destroy();
  }
}
