import type { Duplex } from "node:stream";
import { ownText } from "../base/own-text.ts";
import type { Client } from "../http/address.ts";
import type { ClientRequest } from "../http/client-request.ts";
import type { ClientResponse } from "../http/client-response.ts";
import type { ConsumedCredential, Principal } from "./principal.ts";
import type { Target } from "./target.ts";
import type { WholeBody } from "./whole-body.ts";

const NOTHING_CONSUMED: ConsumedCredential = {};
const NO_TARGET: Target = { path: "", query: "" };
const NO_HEADERS: readonly string[] = [];

/** The request that an open stream keeps. Most streams share this object. */
const KEPT_GET: ClientRequest = {
  method: "GET",
  url: "",
  httpVersion: "1.1",
  rawHeaders: NO_HEADERS,
  body: undefined,
};

/** The target that the last stream has kept: the next one is likely to have the same path. */
let keptTarget = NO_TARGET;

/** Where a request came in. */
export interface RequestOrigin {
  /** The client's connection; undefined for a request that belongs to no single client. */
  readonly connection?: Duplex;
  /** Whether it came on a connection beyond `limits.connections`. */
  readonly isOverflow?: boolean;
}

/** The request of a client as it was received, with the results of the checks and steps that have read it. */
export class ReceivedRequest {
  /** Whether it came on a connection beyond `limits.connections`. */
  readonly isOverflow: boolean;
  /** The client's connection; undefined for a request that belongs to no single client. */
  readonly connection: Duplex | undefined;
  #request: ClientRequest;
  #client: Client;
  #host = "";
  #target = NO_TARGET;
  #principal: Principal | undefined;
  #consumed = NOTHING_CONSUMED;
  #body: WholeBody | undefined;
  #lastEventId: string | undefined;
  #waitsForContinue: Pick<ClientResponse, "writeContinue"> | undefined;

  constructor(request: ClientRequest, client: Client, { connection, isOverflow = false }: RequestOrigin) {
    this.#request = request;
    this.#client = client;
    this.isOverflow = isOverflow;
    this.connection = connection;
  }

  get request(): ClientRequest {
    return this.#request;
  }

  get client(): Client {
    return this.#client;
  }

  /** The Host field as it was received; empty until the head was checked. */
  get host(): string {
    return this.#host;
  }

  get target(): Target {
    return this.#target;
  }

  /** The owner of the verified credential; undefined until a step has verified one. */
  get principal(): Principal | undefined {
    return this.#principal;
  }

  /** The place of the verified credential in the request, if the backend must not get it. */
  get consumed(): ConsumedCredential {
    return this.#consumed;
  }

  /** The body, if a step had to read it whole; the backend gets it in place of the stream. */
  get body(): WholeBody | undefined {
    return this.#body;
  }

  /** The event id that a polyfill put into the query; the backend gets it as Last-Event-ID. */
  get lastEventId(): string | undefined {
    return this.#lastEventId;
  }

  /** Whether the client sent `Expect: 100-continue` and waits for the response to it. */
  get awaitsContinue(): boolean {
    return this.#waitsForContinue !== undefined;
  }

  /** Notes the Host field of a checked head. */
  foundHost(host: string): void {
    this.#host = host;
  }

  /** Notes the target; a step that takes a parameter out of the query notes it again. */
  foundTarget(target: Target): void {
    this.#target = target;
  }

  foundLastEventId(id: string): void {
    this.#lastEventId = id;
  }

  /** Notes whose credential was verified. */
  verified(principal: Principal): void {
    this.#principal = principal;
  }

  /** Notes that the backend must not get the credential that was verified. */
  consume(credential: ConsumedCredential): void {
    this.#consumed = credential;
  }

  readWhole(body: WholeBody): void {
    this.#body = body;
  }

  /** Notes that the client sends its body only after a 100 Continue, which `response` can write. */
  waitsForContinue(response: Pick<ClientResponse, "writeContinue">): void {
    this.#waitsForContinue = response;
  }

  /** Tells a client that waits for 100 Continue to send its body: from now on something reads it. */
  letContinue(): void {
    const response = this.#waitsForContinue;
    this.#waitsForContinue = undefined;
    response?.writeContinue();
  }

  /** Releases a body that was read whole: a backend has got it, or no backend will. */
  forgetBody(): void {
    this.#body?.release();
    this.#body = undefined;
  }

  /** Releases what only the response head needed: a request's head would be most of what an open stream holds. */
  forgetHead(): void {
    this.forgetBody();
    const { method, httpVersion, body } = this.#request;
    const isPlain = method === "GET" && httpVersion === "1.1" && body === undefined;
    this.#request = isPlain ? KEPT_GET : { method, url: "", httpVersion, rawHeaders: NO_HEADERS, body };
    this.#client = {
      ...this.#client,
      host: "",
      forwardedPort: undefined,
      forwardedPrefix: "",
      forwardedFor: "",
      requestId: undefined,
    };
    const { path } = this.#target;
    if (path !== keptTarget.path) keptTarget = { path: ownText(path), query: "" };
    this.#target = keptTarget;
    this.#host = "";
  }
}
