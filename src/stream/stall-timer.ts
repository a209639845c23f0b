import { DueTimer } from "../base/due-timer.ts";
import { type FaultOwner, guarded } from "../base/guard.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { ClientResponse } from "../http/client-response.ts";

interface StallOptions {
  /** How long, in ms, the client may take none of its pending bytes; undefined for no limit. */
  readonly sendTimeout: number | undefined;
  /** Gets an error that `onStall` throws. */
  readonly owner: FaultOwner;
  /** Called when the client has taken no byte for `sendTimeout`. */
  onStall(): void;
}

/** Detects that a client takes none of its pending bytes. The clients of a shared stream use `StallWatch` instead. */
export class StallTimer {
  readonly #response: ClientResponse;
  readonly #options: StallOptions;
  #timer: DueTimer | undefined;

  constructor(response: ClientResponse, options: StallOptions) {
    this.#response = response;
    this.#options = options;
  }

  /** Starts the timer unless it runs. If the client has taken bytes when it is due, the timer starts again. */
  start(): void {
    const { sendTimeout, owner } = this.#options;
    if (this.#timer !== undefined || sendTimeout === undefined) return;
    const taken = this.#response.takenBytes;
    const onDue = () => {
      this.#timer = undefined;
      if (this.#response.pendingBytes === 0) return;
      if (this.#response.takenBytes > taken) this.start();
      else this.#options.onStall();
    };
    this.#timer = new DueTimer(
      sendTimeout,
      guarded((error) => owner.fault(error), onDue),
    );
  }

  /** Stops the timer: no bytes are pending, or the client has left. */
  clear(): void {
    this.#timer?.clear();
    this.#timer = undefined;
  }
}

/** How long, in ms, a client may take nothing of an aborted body or a reply where `sendTimeout` is off: no wait is unbounded. */
const ABORT_TIMEOUT_MS = 60_000;

/**
 * Aborts a body that its backend has aborted, after the client has taken the bytes that had arrived. A client that
 * takes no byte for `sendTimeout` is aborted earlier.
 */
export function abortDelivered(
  response: ClientResponse,
  { owner, sendTimeout = ABORT_TIMEOUT_MS }: Pick<StallOptions, "owner"> & Partial<StallOptions>,
): void {
  response.breakOff(true);
  if (response.isClosed) return;
  const stall = new StallTimer(response, { sendTimeout, owner, onStall: () => response.breakOff() });
  response.onClose(() => stall.clear());
  stall.start();
}

/**
 * Ends a client that takes nothing of what was just written, such as a reply or the first comment line: by HTTP/2, a
 * client with a window of 0 would keep its exchange for ever, as the write itself reports no back-pressure. Looks in the
 * next turn, because HTTP/2 sends what was written at the end of this one.
 */
export function boundUnread(response: ClientResponse, exchange: Exchange): void {
  if (response.isClosed || response.pendingBytes === 0) return;
  const watch = () => {
    if (response.isClosed || response.pendingBytes === 0) return;
    const { route } = exchange;
    const sendTimeout = route === undefined ? ABORT_TIMEOUT_MS : route.config.stream.sendTimeout;
    const onStall = () => {
      exchange.account.endsWith("slow_client");
      response.breakOff();
    };
    const stall = new StallTimer(response, { sendTimeout, owner: exchange, onStall });
    response.onClose(() => stall.clear());
    stall.start();
  };
  setImmediate(exchange.guarded(watch));
}
