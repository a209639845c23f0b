import { EXIT } from "./command.ts";

/** The signals to the process. */
export interface Signals {
  /** Resolves with the first SIGTERM or SIGINT; the second one ends the process immediately. */
  readonly stop: Promise<NodeJS.Signals>;
  /** Calls back at each further SIGHUP; a later callback replaces this one. */
  onHangUp(callback: () => void): void;
}

/**
 * Handles the signals of this process from now on.
 *
 * To be called first: the kernel delivers to process 1 of a container only signals with a handler, and a SIGHUP before
 * the first reload must not end the process.
 */
export function takeSignals(): Signals {
  let hangUp = () => {};
  process.on("SIGHUP", () => hangUp());
  // Without a handler, Node opens its inspector, with which other users of the machine can run code in this process.
  process.on("SIGUSR1", () => {});
  const stop = new Promise<NodeJS.Signals>((resolve) => {
    let isStopping = false;
    const onStop = (signal: NodeJS.Signals): void => {
      if (isStopping) process.exit(EXIT.crashed);
      isStopping = true;
      resolve(signal);
    };
    process.on("SIGTERM", onStop);
    process.on("SIGINT", onStop);
  });
  return {
    stop,
    onHangUp: (callback) => {
      hangUp = callback;
    },
  };
}
