import { EXIT } from "./command.ts";

/** What the process is told from outside; listened to from the moment that it is made. */
export interface Signals {
  /** Resolves with the first signal to stop; the second ends the process where it stands. */
  readonly stop: Promise<NodeJS.Signals>;
  /** Calls back at each SIGHUP from now on. */
  onHangUp(callback: () => void): void;
}

/**
 * Takes the signals of this process.
 *
 * Made first of all: to process 1 of a container the kernel brings no signal that nobody listens to, and a
 * SIGHUP that comes before there is anything to reload must not end the process.
 */
export function takeSignals(): Signals {
  let hangUp = () => {};
  process.on("SIGHUP", () => hangUp());
  // Node would open its inspector, which lets anybody on the machine run code in this process.
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
