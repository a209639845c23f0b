import { Counter, type Registry } from "prom-client";
import type { ErrorCode } from "../base/errors.ts";
import { Tally } from "./tally.ts";

/** The bytes of a route so far. */
export interface RouteBytes {
  readonly route: string;
  /** Body bytes of event streams, also of those under way. */
  readonly streamBytes: number;
  /** Body bytes of ordinary responses, and bytes of tunnels, that have ended. */
  readonly otherBytes: number;
  /** Bytes of request bodies, and bytes that clients sent into tunnels. */
  readonly receivedBytes: number;
}

/** The counts of requests that have ended, and their bytes. */
export class RequestMetrics {
  readonly #requests = new Tally<number>();
  readonly #errors = new Tally<ErrorCode>();

  constructor(registers: Registry[], bytes: () => Iterable<RouteBytes>) {
    const [requests, errors] = [this.#requests, this.#errors];
    new Counter({
      name: "sluice_requests_total",
      help: "Requests that have ended, streams included.",
      labelNames: ["route", "status"],
      registers,
      collect() {
        this.reset();
        for (const { route, label: status, count } of requests) this.inc({ route, status }, count);
      },
    });
    new Counter({
      name: "sluice_request_errors_total",
      help: "Requests that were refused or failed, by the code of the error.",
      labelNames: ["route", "code"],
      registers,
      collect() {
        this.reset();
        for (const { route, label: code, count } of errors) this.inc({ route, code }, count);
      },
    });
    new Counter({
      name: "sluice_sent_bytes_total",
      help: "Body bytes sent to clients: of streams, also while they run, and of other responses that have ended.",
      labelNames: ["route", "kind"],
      registers,
      collect() {
        this.reset();
        for (const { route, streamBytes, otherBytes } of bytes()) {
          this.inc({ route, kind: "stream" }, streamBytes);
          this.inc({ route, kind: "other" }, otherBytes);
        }
      },
    });
    new Counter({
      name: "sluice_received_bytes_total",
      help: "Bytes of the bodies of requests that have ended.",
      labelNames: ["route"],
      registers,
      collect() {
        this.reset();
        for (const { route, receivedBytes } of bytes()) this.inc({ route }, receivedBytes);
      },
    });
  }

  /** Counts a request that has ended. */
  ended(route: string, status: number): void {
    this.#requests.add(route, status);
  }

  /** Counts a request that was refused or has failed. */
  failed(route: string, code: ErrorCode): void {
    this.#errors.add(route, code);
  }
}
