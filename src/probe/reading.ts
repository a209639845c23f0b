import { createHash } from "node:crypto";
import { contentCoding } from "../http/content-coding.ts";
import { fieldValue } from "../http/fields.ts";
import { mediaType } from "../http/media-type.ts";
import { readEventFields, withoutId } from "../sse/event-fields.ts";
import { createDecoder, type Decoder } from "./decoder.ts";
import { LineSplitter, type Splitter, SseSplitter, type TimedEvent } from "./event-splitter.ts";
import type { Fault } from "./fault.ts";
import type { Pauses } from "./pauses.ts";
import { findStamps, type Stamp } from "./stamps.ts";
import type { EndKind, WireHead, WireListener } from "./wire.ts";

/** An event of a reading. Times are those of performance.now(), in milliseconds. */
export interface ProbeEvent {
  readonly firstAt: number;
  readonly lastAt: number;
  readonly size: number;
  /** Identifies the event at several hops: a hash of its bytes without the id, which a gateway may add. */
  readonly key: string;
  readonly id: string | undefined;
  readonly stamps: readonly Stamp[];
}

/** How a reading ended; `open`: the probe stopped it; `limit`: it exceeded a bound. */
export interface ReadingEnd {
  readonly kind: EndKind | "open" | "limit";
  readonly at: number;
}

/** The format of a stream. */
export type StreamFormat = "sse" | "lines";

/** The limits of one reading. */
const MAX_EVENTS = 20_000;
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_COMMENTS = 20_000;
/** How much of the body's start is kept, to recognize events under another type. */
const KEPT_BODY = 512;

const LINE_TYPES: ReadonlySet<string> = new Set([
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
  "application/x-jsonlines",
  "application/json-seq",
  "application/stream+json",
  "text/x-ndjson",
]);

/** The response to one request at one hop, with the time of every part. */
export class Reading implements WireListener {
  readonly name: string;
  /** The URL of the response, after redirects. */
  url: string;
  /** Pauses of this process. */
  pauses: Pick<Pauses, "before" | "within"> = { before: () => 0, within: () => 0 };
  /** Called at each event, comment, head and end. */
  onChange: () => void = () => {};
  connectMs: number | undefined;
  tlsMs: number | undefined;
  alpn: string | undefined;
  /** When the request was sent. */
  sentAt: number | undefined;
  head: WireHead | undefined;
  headAt: number | undefined;
  firstByteAt: number | undefined;
  lastByteAt: number | undefined;
  format: StreamFormat | undefined;
  coding: string | undefined;
  readonly events: ProbeEvent[] = [];
  readonly comments: number[] = [];
  /** The first bytes of the decoded body, in latin1. */
  bodyStart = "";
  bytes = 0;
  end: ReadingEnd | undefined;
  fault: Fault | undefined;
  /** Why the body cannot be decoded. */
  trouble: string | undefined;
  readonly #toFault: (detail: string) => Fault;
  #decoder: Decoder | undefined;
  #splitter: Splitter | undefined;
  #decodedBytes = 0;
  #whenOver: (() => void)[] = [];

  constructor(name: string, url: string, toFault: (detail: string) => Fault) {
    this.name = name;
    this.url = url;
    this.#toFault = toFault;
  }

  get isOver(): boolean {
    return this.end !== undefined || this.fault !== undefined;
  }

  /** Resolves when the reading has ended and every read is decoded. */
  async over(): Promise<void> {
    if (!this.isOver)
      await new Promise<void>((resolve) => {
        this.#whenOver.push(resolve);
      });
    await this.#decoder?.idle();
    this.#decoder?.close();
  }

  onHead(head: WireHead, at: number): void {
    this.head = head;
    this.headAt = at;
    this.coding = contentCoding(head.fields);
    const type = mediaType(fieldValue(head.fields, "content-type"));
    if (type === "text/event-stream") this.#becomes("sse");
    else if (LINE_TYPES.has(type)) this.#becomes("lines");
    this.#decoder = createDecoder(
      this.coding,
      (bytes, time) => this.#decoded(bytes, time),
      (error) => {
        this.trouble = `the ${this.coding} coding of the body is broken: ${error.message}`;
        this.#finish({ kind: "limit", at: performance.now() });
      },
    );
    if (this.#decoder === undefined) this.trouble = `the content coding ${this.coding} is not known`;
    this.onChange();
  }

  onBody(bytes: Buffer, at: number): void {
    this.firstByteAt ??= at;
    this.lastByteAt = at;
    this.bytes += bytes.length;
    this.#decoder?.write(bytes, at);
    this.#bound(at);
  }

  onEnd(kind: EndKind, at: number): void {
    this.#finish({ kind, at });
  }

  onFault(detail: string): void {
    this.fail(this.#toFault(detail));
  }

  fail(fault: Fault): void {
    if (this.isOver) return;
    this.fault = fault;
    this.#over();
  }

  /** Ends the reading early. */
  stop(): void {
    if (!this.isOver) this.#finish({ kind: "open", at: performance.now() });
  }

  onEvent({ bytes, firstAt, lastAt }: TimedEvent): void {
    // One read may contain more events than the bound.
    if (this.events.length >= MAX_EVENTS) return;
    const isSse = this.format === "sse";
    const fields = isSse ? readEventFields(bytes) : undefined;
    // A retry field alone is not an event; a gateway may add one.
    if (fields?.isRetryOnly) return;
    const key = createHash("sha1").update(isSse ? trimmed(withoutId(bytes)) : trimmed(bytes));
    this.events.push({
      firstAt,
      lastAt,
      size: bytes.length,
      key: key.digest("base64"),
      id: fields?.id,
      stamps: findStamps(bytes.toString("utf8"), Date.now()),
    });
    this.onChange();
  }

  onComment(at: number): void {
    if (this.comments.length < MAX_COMMENTS) this.comments.push(at);
    this.onChange();
  }

  #decoded(bytes: Buffer, at: number): void {
    this.bodyStart = (this.bodyStart + bytes.toString("latin1", 0, KEPT_BODY)).slice(0, KEPT_BODY);
    // Some backends send events under a generic type.
    if (this.format === undefined && this.#looksLikeEvents()) this.#becomes("sse");
    this.#splitter?.feed(bytes, at);
    this.#decodedBytes += bytes.length;
    this.#bound(at);
  }

  /** Whether the type is generic and the body starts like an event stream. */
  #looksLikeEvents(): boolean {
    const type = mediaType(fieldValue(this.head?.fields ?? [], "content-type"));
    const mayBe = type === "" || type === "text/plain" || type === "application/octet-stream";
    return mayBe && this.#splitter === undefined && /^(?:data|event|id|retry): ?|^:/.test(this.bodyStart);
  }

  #becomes(format: StreamFormat): void {
    this.format = format;
    this.#splitter = format === "sse" ? new SseSplitter(this) : new LineSplitter(this);
  }

  #bound(at: number): void {
    const isBeyond = this.#decodedBytes > MAX_BYTES || this.bytes > MAX_BYTES;
    if (isBeyond || this.events.length >= MAX_EVENTS) this.#finish({ kind: "limit", at });
  }

  #finish(end: ReadingEnd): void {
    if (this.isOver) return;
    this.end = end;
    this.#over();
  }

  #over(): void {
    // A stopped reading keeps its decoder until the last read is decoded.
    if (this.end?.kind === "limit") this.#decoder?.close();
    this.onChange();
    const waiting = this.#whenOver;
    this.#whenOver = [];
    for (const resolve of waiting) resolve();
  }
}

const LINE_ENDS = /[\r\n]+$/;

function trimmed(bytes: Buffer): string {
  return bytes.toString("latin1").replace(LINE_ENDS, "");
}
