/** Handles a fault: an error that no code expected. Must not throw. */
export type FaultHandler = (error: unknown) => void;

/** The owner of callbacks of sockets, timers and peers: a fault in one of them ends it. */
export interface FaultOwner {
  /** Ends this owner alone with an error that a callback threw. Does not throw. */
  fault(error: unknown): void;
}

/**
 * Returns a callback of a socket, a timer or a peer whose errors go to `onFault`. Without it they would be uncaught
 * exceptions, and end every other stream of the process.
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

/** Runs each callback, also after one that throws: a release that is skipped would never run. */
export function runAll(callbacks: readonly (() => void)[], onFault: FaultHandler): void {
  for (const callback of callbacks) {
    try {
      callback();
    } catch (error) {
      onFault(error);
    }
  }
}
