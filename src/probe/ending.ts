import type { Reading } from "./reading.ts";

/** A stream that a hop ended before its sender did. */
export interface Cut {
  /** Seconds since the request. */
  readonly afterSeconds: number;
  /** Seconds since the last byte. */
  readonly silentSeconds: number;
  /** Whether a client can tell it from a regular end. */
  readonly isVisible: boolean;
}

/** Two hops that end within this time, in ms, end for the same reason. */
const SAME_END_MS = 500;

/** Returns the cut of one reading; undefined if it ended regularly. */
export function cutOf(reading: Reading): Cut | undefined {
  const { end } = reading;
  return end?.kind === "truncated" || end?.kind === "reset" ? cutAt(reading, end.at, true) : undefined;
}

/** Returns the cut of an outer hop that ended while the inner hop continued. */
export function pairCut(inner: Reading, outer: Reading): Cut | undefined {
  const { end } = outer;
  if (end === undefined || end.kind === "open" || end.kind === "limit" || inner.head === undefined)
    return undefined;
  const innerEnd = inner.end?.at ?? Number.POSITIVE_INFINITY;
  const isVisible = end.kind === "truncated" || end.kind === "reset";
  const isOpen = inner.end === undefined || inner.end.kind === "open" || inner.end.kind === "limit";
  // Two complete streams of different lengths are two responses of the backend.
  if (innerEnd - end.at <= SAME_END_MS || !(isOpen || isVisible)) return undefined;
  // A response with more events than the inner hop had by then was not cut.
  const before = inner.events.filter(({ lastAt }) => lastAt < end.at + SAME_END_MS).length;
  if (!isVisible && outer.events.length > before) return undefined;
  return cutAt(outer, end.at, isVisible);
}

function cutAt({ sentAt = 0, lastByteAt, headAt }: Reading, at: number, isVisible: boolean): Cut {
  return {
    afterSeconds: (at - sentAt) / 1000,
    silentSeconds: (at - (lastByteAt ?? headAt ?? sentAt)) / 1000,
    isVisible,
  };
}

/** A well-known default timer. */
interface Timer {
  readonly seconds: number;
  /** The time that the timer measures: silence, or the whole time since the request. */
  readonly of: "silence" | "whole";
  readonly guess: string;
}

const TIMERS: readonly Timer[] = [
  { seconds: 60, of: "silence", guess: "nginx's proxy_read_timeout or an AWS load balancer's idle timeout" },
  { seconds: 30, of: "silence", guess: "a timeout server of 30 s, as in many HAProxy configurations" },
  { seconds: 50, of: "silence", guess: "HAProxy's usual timeout client and server" },
  { seconds: 55, of: "silence", guess: "Heroku's router" },
  { seconds: 100, of: "silence", guess: "Cloudflare's proxy read timeout" },
  { seconds: 240, of: "silence", guess: "an Azure load balancer's idle timeout" },
  { seconds: 300, of: "silence", guess: "Envoy's stream idle timeout" },
  { seconds: 350, of: "silence", guess: "an AWS network load balancer's idle timeout" },
  { seconds: 600, of: "silence", guess: "nginx's proxy_timeout of stream {}" },
  { seconds: 15, of: "whole", guess: "Envoy's route timeout" },
  { seconds: 29, of: "whole", guess: "AWS API Gateway's integration timeout" },
  { seconds: 30, of: "whole", guess: "a load balancer's request timeout of 30 s" },
  { seconds: 60, of: "whole", guess: "a platform's request timeout of 60 s" },
  { seconds: 300, of: "whole", guess: "a platform's request timeout of 300 s" },
];

/** Two cuts are attributed to one timer within this tolerance, in seconds. */
export const SAME_TIMER_SECONDS = 1;

/** Guesses the owner of a timer from its length; undefined when no known default fits. */
export function guessTimer({ afterSeconds, silentSeconds }: Cut): string | undefined {
  const near = (a: number, b: number) => Math.abs(a - b) <= SAME_TIMER_SECONDS;
  const found = TIMERS.find(({ seconds, of }) =>
    near(of === "silence" ? silentSeconds : afterSeconds, seconds),
  );
  return found?.guess;
}

/** Returns the timer behind two cuts: both came after the same silence, or the same total time. */
export function timerOf(first: Cut, second: Cut): { seconds: number; of: Timer["of"] } | undefined {
  const isSame = (a: number, b: number) => Math.abs(a - b) <= SAME_TIMER_SECONDS;
  if (isSame(first.silentSeconds, second.silentSeconds) && first.silentSeconds >= 0.5)
    return { seconds: second.silentSeconds, of: "silence" };
  if (isSame(first.afterSeconds, second.afterSeconds)) return { seconds: second.afterSeconds, of: "whole" };
  return undefined;
}
