/** How long a part may stay away before it counts as held. It normally takes milliseconds. */
const HELD_MS = 4_000;

/** The parts of a response, with letters of two and of four bytes. */
export const TOKENS = ["Zwölf ", "Boxkämpfer ", "jagen ", "🦊 ", "quer."];
export const TEXT = TOKENS.join("");
/** The text of the backend's error, which the client must show. */
export const ERROR_TEXT = "The scripted model is overloaded.";

/** Whether the promise resolves in time. A timer of its own: Node 20 may collect an unused `AbortSignal.timeout`. */
const inTime = (promise) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, HELD_MS, false);
    promise.then(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });

/**
 * What one request is about: `tokens`, all of them; an `error` in place of them; an `abort` of the client, or a `break`
 * of the backend's connection, behind the first.
 */
class Round {
  /** Whether a part did not arrive while the backend waited for it. */
  isHeld = false;
  /** The text that the client saw. */
  text = "";
  #awaited = () => {};
  #abort = new AbortController();
  #socket;
  /** Called when the connection closes before the end of the response. */
  lost = () => {};
  #isLost = new Promise((resolve) => {
    this.lost = resolve;
  });

  constructor(mode) {
    this.mode = mode;
  }

  /** The connection of the last request. */
  reachedBy(socket) {
    this.#socket = socket;
  }

  /** Aborted when the client should leave. */
  get signal() {
    return this.#abort.signal;
  }

  /** The client calls it with each part of the text: the acknowledgement, outside of the connection. */
  saw = (part) => {
    this.text += part;
    this.#awaited();
  };

  /** The parts for a backend: each but the first only after the client saw the part before. */
  async *tokens() {
    let sent = "";
    for (const token of TOKENS) {
      sent += token;
      yield token;
      if (!this.isHeld) this.isHeld = !(await inTime(this.#acknowledged(sent)));
      if (this.mode === "tokens") continue;
      if (this.mode === "abort") this.#abort.abort();
      else this.#socket.destroy();
      await this.isLost();
      return;
    }
  }

  #acknowledged(text) {
    const isSeen = new Promise((resolve) => {
      this.#awaited = () => this.text.startsWith(text) && resolve();
      this.#awaited();
    });
    return Promise.race([isSeen, this.#isLost]);
  }

  /** Whether the backend sees the connection close, in time. */
  isLost() {
    return inTime(this.#isLost);
  }
}

/** Between the backend and the client of one subject: both take the present round from it. */
export class Script {
  round = new Round("tokens");

  begin(mode) {
    this.round = new Round(mode);
    return this.round;
  }

  /** Tells the round of each connection, and of each that closes before the end of its response. */
  watch(server) {
    server.prependListener("request", (_request, response) => {
      const { round } = this;
      round.reachedBy(response.socket);
      response.once("close", () => response.writableFinished || round.lost());
    });
    server.prependListener("upgrade", (_request, socket) => {
      const { round } = this;
      round.reachedBy(socket);
      socket.once("close", () => round.lost());
    });
    return server;
  }
}
