import { performance } from "node:perf_hooks";
import { ProxyError } from "../base/errors.ts";
import type { EndReason } from "../base/outcome.ts";
import { ownText } from "../base/own-text.ts";
import type { TokenCounts } from "./token-counts.ts";

/** The counts of a response's body so far. */
export interface Sent {
  /** Bytes given to the client's connection. */
  readonly bytesSent: number;
  /** Event blocks relayed; undefined for an ordinary response. */
  readonly events: number | undefined;
}

type Fields = readonly (readonly [name: string, value: string])[];

const NO_FIELDS: Fields = [];
/** A bound for the log, in characters; the request ids of vendors are shorter. */
const MAX_REQUEST_ID = 200;
/** nginx's status for a request whose client closed the connection. */
export const CLIENT_CLOSED_REQUEST = 499;

/** The account of one response: its status, bytes, events, times and end. The log, metrics and /streams read it. */
export class Account implements Sent {
  readonly #receivedAt = performance.now();
  #status = 0;
  #isStream = false;
  #bytesSent = 0;
  #bytesReceived = 0;
  #events: number | undefined;
  #sent: Sent | undefined;
  #firstByteMs: number | undefined;
  #firstEventMs: number | undefined;
  #endReason: EndReason | undefined;
  #error: unknown;
  #limitFields = NO_FIELDS;
  #preflightRefused: string | undefined;
  #backendRequestId: string | undefined;
  #decoded: string | undefined;
  #tokens: TokenCounts | undefined;
  #reportFields = NO_FIELDS;

  /** The status of the response head that was sent; 0 before, 499 if the client left before the end. */
  get status(): number {
    return this.#status;
  }

  /** Whether the response is an event stream, and counts as one. */
  get isStream(): boolean {
    return this.#isStream;
  }

  get bytesSent(): number {
    return this.#sent?.bytesSent ?? this.#bytesSent;
  }

  /** Bytes of the client's body that were read for a backend or by a step of the route. */
  get bytesReceived(): number {
    return this.#bytesReceived;
  }

  get events(): number | undefined {
    return this.#sent === undefined ? this.#events : this.#sent.events;
  }

  /** The time from the request's head to the response head, in ms. */
  get firstByteMs(): number | undefined {
    return this.#firstByteMs;
  }

  /** The time from the request's head to the first event, in ms. */
  get firstEventMs(): number | undefined {
    return this.#firstEventMs;
  }

  /** The error that ended the exchange, for the log alone. */
  get error(): unknown {
    return this.#error;
  }

  /** Whether an error that no code expected has ended the exchange. */
  get isFaulty(): boolean {
    return this.#error !== undefined && !isExpected(this.#error);
  }

  /** The debug fields about rate limits. */
  get limitFields(): Fields {
    return this.#limitFields;
  }

  /** The fields that report a limit to the client, such as the remaining tokens. */
  get reportFields(): Fields {
    return this.#reportFields;
  }

  /** The X-Request-Id of the backend's response, at most 200 characters; undefined if it sent none, or ours. */
  get backendRequestId(): string | undefined {
    return this.#backendRequestId;
  }

  /** The content coding of the backend's stream that the client gets decoded; undefined for none. */
  get decoded(): string | undefined {
    return this.#decoded;
  }

  /** The reason for which a preflight was refused, such as `the header x-a`; undefined for any other request. */
  get preflightRefused(): string | undefined {
    return this.#preflightRefused;
  }

  /** The tokens of a model's answer; undefined for any other response. */
  get tokens(): TokenCounts | undefined {
    return this.#tokens;
  }

  /** The time since the request's head was read, in ms; not rounded. */
  get ageMs(): number {
    return performance.now() - this.#receivedAt;
  }

  /** Returns the time since the request's head was read, in whole ms. */
  elapsedMs(): number {
    return Math.round(this.ageMs);
  }

  headSent(status: number): void {
    this.#status = status;
    this.#firstByteMs ??= this.elapsedMs();
  }

  streamOpened(): void {
    this.#isStream = true;
    this.#events ??= 0;
  }

  /** Adds bytes of the body that were given to the client's connection. */
  addBytes(bytes: number): void {
    this.#bytesSent += bytes;
  }

  /** Adds bytes of the client's body. */
  addReceived(bytes: number): void {
    this.#bytesReceived += bytes;
  }

  /** Adds event blocks that were given to the client's connection. */
  addEvents(events: number): void {
    this.firstEventSent();
    this.#events = (this.#events ?? 0) + events;
  }

  firstEventSent(): void {
    this.#firstEventMs ??= this.elapsedMs();
  }

  /** Reads the numbers from `sent` from now on: a relay that counts in its own fields touches less memory per event. */
  countedBy(sent: Sent): void {
    this.#sent = sent;
  }

  /** Reads the tokens from `tokens` from now on. */
  countedTokensBy(tokens: TokenCounts): void {
    this.#tokens = tokens;
  }

  /** Notes why the exchange ends; the first reason stands, because later ones are its consequences. */
  endsWith(reason: EndReason): void {
    this.#endReason ??= reason;
  }

  /** Notes that the client did not take the end of a body that was complete: `reason` replaces that of the end. */
  endNotTaken(reason: EndReason): void {
    this.#endReason = reason;
  }

  /** Notes an error; the first one stands. */
  noteError(error: unknown): void {
    this.#error ??= error;
  }

  /** Notes the error that the client gets as a refusal; replaces an earlier one. */
  replaceError(error: unknown): void {
    this.#error = error;
  }

  foundBackendRequestId(id: string): void {
    this.#backendRequestId = ownText(id.slice(0, MAX_REQUEST_ID));
  }

  /** Notes the content coding of the backend's stream, which is decoded. */
  decodes(coding: string): void {
    this.#decoded = coding;
  }

  /** Notes the fields that every response carries to report a limit; they replace earlier ones and a backend's. */
  limitedTo(fields: Fields): void {
    this.#reportFields = fields;
  }

  /** Notes the reason for which a preflight was refused. */
  refusedPreflight(reason: string | undefined): void {
    this.#preflightRefused = reason;
  }

  addLimitField(field: readonly [name: string, value: string]): void {
    this.#limitFields = [...this.#limitFields, field];
  }

  /** Ends the account, with `reason` unless another one was noted before; returns the reason that stands. */
  settle(reason: EndReason): EndReason {
    this.endsWith(reason);
    const endReason = this.#endReason ?? reason;
    if (endReason === "client_gone") this.#status = CLIENT_CLOSED_REQUEST;
    return endReason;
  }

  /** The level of the exchange's log line, once it has ended. */
  get logLevel(): "error" | "warn" | "info" {
    if (this.isFaulty) return "error";
    return this.#status >= 500 || this.#endReason === "backend_failed" ? "warn" : "info";
  }
}

/** Whether an error is a refusal or a failure of another side; any other error is a defect of sluice. */
export function isExpected(error: unknown): boolean {
  return error instanceof ProxyError && error.code !== "internal_error";
}
