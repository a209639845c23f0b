import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { endOf } from "./answers.mjs";
import { FLAG, FRAME, FrameReader, faultFrames, roomFor, SETTINGS_ACK } from "./frames.mjs";
import { http1Wire, http2Preface, http2Wire } from "./requests.mjs";

/** The client of a case: sends its bytes as drawn, causes its fault at the drawn moment, and disconnects. */

/** The maximum number of received bytes that are kept, for their marks. */
const MOST_KEPT = 64 * 1024;
/** Faults after which the client stays connected until its timeout. */
const STAYING = new Set(["garbage", "halfClose", "stallSend", "stallRead", "frames"]);

const proxyLine = (address) =>
  address.includes(":")
    ? `PROXY TCP6 ${address} 2001:db8::99 40000 443\r\n`
    : `PROXY TCP4 ${address} 192.0.2.99 40000 443\r\n`;

export class Client {
  /** The received bytes of each HTTP/2 stream as latin1, bodies only; without HTTP/2, all bytes under 0. */
  #texts = new Map();
  drawn;
  #gateway;
  #tcp;
  #socket;
  #isStalled = false;
  #hasFailed = false;
  #received = 0;
  /** Ends the connection in any case. */
  #patience;
  #hasAnswer = false;
  #wake = () => {};

  constructor(drawn, gateway) {
    this.drawn = drawn;
    this.#gateway = gateway;
  }

  /** Resolves when the connection is closed. */
  async run(ticketOf) {
    const { isTls, transport, address, patienceMs, fault } = this.drawn;
    const tcp = connect({ ...this.#gateway.placeOf(transport, isTls), noDelay: true, allowHalfOpen: true });
    this.#tcp = tcp;
    tcp.on("error", () => {});
    const closed = once(tcp, "close").catch(() => {});
    tcp.on("close", () => this.#wake());
    if (transport === "proxy") tcp.write(proxyLine(address));
    this.#socket = isTls ? this.#secure() : tcp;
    this.#listen();
    this.#patience = setTimeout(() => tcp.destroy(), patienceMs * 2);
    if (fault.when === "connected") tcp.once("connect", () => this.#fail());
    if (fault.when === "ms") setTimeout(() => this.#fail(), fault.ms);
    await this.#send(ticketOf);
    await closed;
    clearTimeout(this.#patience);
  }

  /** Called at the first byte of the backend's response. */
  backendAnswers() {
    const { fault, patienceMs } = this.drawn;
    // On a busy machine the backend request may take longer than the client's wait.
    if (!this.#hasAnswer && !this.#tcp.destroyed) {
      clearTimeout(this.#patience);
      this.#patience = setTimeout(() => this.#tcp.destroy(), patienceMs);
    }
    this.#hasAnswer = true;
    if (fault.when !== "answered") return;
    // Half of them in the same turn, because the race takes microseconds.
    if (fault.ms < 5) this.#fail();
    else setTimeout(() => this.#fail(), fault.ms % 5);
  }

  #secure() {
    const ALPNProtocols = this.drawn.client === "http2" ? ["h2"] : ["http/1.1"];
    const socket = connectTls({ socket: this.#tcp, rejectUnauthorized: false, ALPNProtocols });
    socket.on("error", () => this.#tcp.destroy());
    return socket;
  }

  #listen() {
    const socket = this.#socket;
    const { client } = this.drawn;
    const reader = client === "http2" ? new FrameReader((frame) => this.#onFrame(frame)) : undefined;
    socket.on("data", (bytes) => {
      this.#received += bytes.length;
      if (reader !== undefined) reader.feed(bytes);
      else this.#keep(0, bytes.toString("latin1"));
      const { fault } = this.drawn;
      if (fault.when === "received" && this.#received > fault.bytes) this.#fail();
      this.#wake();
    });
    socket.on("end", () => {
      // A client that ended its half has nothing more to do.
      socket.end();
      this.#tcp.destroySoon();
    });
  }

  #onFrame({ type, flags, stream, payload }) {
    if (type === FRAME.settings && (flags & FLAG.ack) === 0) this.#write(SETTINGS_ACK);
    if (type !== FRAME.data || payload.length === 0) return;
    this.#keep(stream, payload.toString("latin1"));
    if (this.drawn.fault.frames !== "noWindow" || this.drawn.fault.kind !== "frames")
      this.#write(roomFor(stream, payload.length));
  }

  /** By stream: a frame of another stream may cut a mark in two. */
  #keep(stream, text) {
    const before = this.#texts.get(stream) ?? "";
    // The end of the text shows the end of a response.
    const after = before.length < MOST_KEPT ? before + text : before.slice(0, MOST_KEPT) + text.slice(-200);
    this.#texts.set(stream, after);
  }

  /** The received text, one stream after the other. */
  get text() {
    return [...this.#texts.values()].join("\n");
  }

  async #send(ticketOf) {
    const { requests, isTogether, client } = this.drawn;
    const wires = [];
    for (const [at, request] of requests.entries()) {
      const ticket = await ticketOf(request);
      wires.push(
        client === "http2" ? http2Wire(request, at, ticket) : http1Wire(request, this.drawn, ticket),
      );
      if (request.route === "ticket" && request.ticket === "twice") wires.push(wires.at(-1));
    }
    if (client === "http2") await this.#writeSplit(http2Preface(this.drawn), 0);
    if (isTogether) return this.#writeSplit(Buffer.concat(wires), 1);
    for (const [at, wire] of wires.entries()) {
      await this.#writeSplit(wire, 1 / wires.length);
      const name = requests[Math.min(at, requests.length - 1)].name;
      await this.#until(() => this.text.includes(endOf(name)));
      if (this.#tcp.destroyed) return;
    }
    // All responses have arrived.
    if (!STAYING.has(this.drawn.fault.kind)) this.#tcp.destroy();
  }

  /** Writes bytes, split as drawn, with the fault between two parts if drawn. */
  async #writeSplit(wire, chanceOfFault) {
    const { fault, splits } = this.drawn;
    const isHere = fault.when === "sent" && chanceOfFault > 0 && !this.#hasFailed;
    const faultAt = isHere ? Math.floor(fault.share * wire.length) : wire.length + 1;
    const cuts = [...splits.map(({ at, ms }) => ({ at, ms })), { at: faultAt, isFault: true }]
      .filter(({ at }) => at <= wire.length)
      .sort((a, b) => a.at - b.at);
    let from = 0;
    for (const { at, ms, isFault } of cuts) {
      this.#write(wire.subarray(from, at));
      from = at;
      if (isFault) this.#fail();
      else if (ms > 0) await sleep(ms);
      if (this.#isStalled || this.#tcp.destroyed) return;
    }
    this.#write(wire.subarray(from));
  }

  #write(bytes) {
    if (this.#isStalled || bytes.length === 0 || !this.#socket.writable) return;
    this.#socket.write(bytes);
  }

  async #until(isSo) {
    while (!isSo() && !this.#tcp.destroyed) {
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #fail() {
    if (this.#hasFailed || this.#tcp.destroyed) return;
    this.#hasFailed = true;
    const { kind, garbage, frames } = this.drawn.fault;
    if (kind === "leave") this.#tcp.destroy();
    else if (kind === "reset") this.#reset();
    else if (kind === "garbage") this.#write(Buffer.from(garbage, "latin1"));
    else if (kind === "halfClose") this.#socket.end();
    else if (kind === "stallSend") this.#isStalled = true;
    else if (kind === "stallRead") this.#socket.pause();
    else if (kind === "frames" && frames !== "noWindow") {
      const streams = this.drawn.requests.map((_, at) => at * 2 + 1);
      this.#write(faultFrames(frames, streams));
    }
  }

  #reset() {
    // A unix socket has no reset; it is closed.
    if (this.drawn.transport === "unix") this.#tcp.destroy();
    else this.#tcp.resetAndDestroy();
  }
}
