import { performance } from "node:perf_hooks";
import type { BackendAddress } from "../config/scalars.ts";
import type { RawFields } from "../http/fields.ts";
import { ReceivedRequest } from "./received-request.ts";
import type { Route } from "./route.ts";

const NO_FIELDS: RawFields = [];

/** A request with its destination: its route, and the backend that was dialled for it. */
export class RoutedRequest extends ReceivedRequest {
  #route: Route | undefined;
  #backend: BackendAddress | undefined;
  #dialledAt: number | undefined;
  #addedFields = NO_FIELDS;

  /** Undefined until a route has matched. */
  get route(): Route | undefined {
    return this.#route;
  }

  /** URL of the backend that was dialled last. */
  get backend(): string | undefined {
    return this.#backend?.url;
  }

  /** Address of the backend that was dialled last; undefined if none was, as for a mock. */
  get backendAddress(): BackendAddress | undefined {
    return this.#backend;
  }

  /** When the route's upstream was called, by `performance.now()`; undefined without an upstream. */
  get dialledAt(): number | undefined {
    return this.#dialledAt;
  }

  /** Fields that the response gets beside those of the backend; flat names and values. */
  get addedFields(): RawFields {
    return this.#addedFields;
  }

  /** Notes the route; noted again when X-Stage chooses another environment of it. */
  routedTo(route: Route): void {
    this.#route = route;
  }

  beginsDialling(): void {
    this.#dialledAt = performance.now();
  }

  /** Adds fields, flat names and values, to the response of the backend. */
  addFields(fields: RawFields): void {
    if (fields.length > 0) this.#addedFields = [...this.#addedFields, ...fields];
  }

  /** Notes the backend of the attempt that begins. */
  dialling(address: BackendAddress): void {
    this.#backend = address;
  }
}
