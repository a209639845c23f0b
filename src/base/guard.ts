/** Takes an error that no code expected. Must not throw. */
export type FaultHandler = (error: unknown) => void;

/** Owns callbacks of sockets, timers and peers, and ends with a fault in one of them. */
export interface FaultOwner {
  /** Ends this owner alone with an error that a callback threw. Does not throw. */
  fault(error: unknown): void;
}

/**
 * Wraps a callback of a socket, a timer or a peer, so that an error in it goes to `onFault`. Unguarded it would be an
 * uncaught exception, and end every other stream of the process.
 */
export function guarded<T extends readonly unknown[]>(
  onFault: FaultHandler,
  callback: (...args: T) => void,
): (...args: T) => void {
  return (...args) => {
    try {
      callback(...args);
    } catch (error) {
      onFault(error);
    }
  };
}

/** Runs each callback, also behind one that throws: a release that is left out would stay for good. */
export function runAll(callbacks: readonly (() => void)[], onFault: FaultHandler): void {
  for (const callback of callbacks) {
    try {
      callback();
    } catch (error) {
      onFault(error);
    }
  }
}
