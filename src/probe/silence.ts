import { type Findings, PROBE_EXIT, type Verdict } from "./finding.ts";
import type { Reading } from "./reading.ts";
import { plainRemedy, remedyFor } from "./remedy.ts";
import { seconds } from "./seconds.ts";
import { softwareOf } from "./software.ts";

/**
 * Returns the verdict on a head that is missing or late although another request got a response at once. A sender
 * that sends its head with the first event looks the same as a buffer here.
 */
export function lateHead(
  url: Reading,
  { results, forMs }: Pick<Findings, "results" | "forMs">,
): Verdict | undefined {
  const { isHeadHeld, isLocked } = results;
  if (!isLocked && (!isHeadHeld || url.headAt !== undefined)) return undefined;
  const software = softwareOf(url.head?.fields ?? results.headFields);
  const lagMs = (url.headAt ?? (url.sentAt ?? 0) + forMs) - (url.sentAt ?? 0);
  const who = software?.name ?? "something in front of the sender";
  const sentence = isLocked
    ? `The head took ${seconds(lagMs)}: ${who} makes a client wait for another client's response.`
    : `No head within ${seconds(lagMs)}, but a HEAD request gets a response at once: ${who} holds the response back, or the sender is silent until its first event.`;
  return {
    outcome: "late",
    kind: isLocked ? "head" : "nothing",
    hop: url.name,
    software: software?.name,
    isSure: isLocked,
    sentence,
    remedy: remedyFor("head", { ...results, software, coding: url.coding, lagMs }),
    exit: PROBE_EXIT.late,
  };
}

/** A head within this time of the request, in ms, was not held back. */
const AT_ONCE_MS = 300;
/**
 * A comment within this time of the head, in ms, proves that no buffer holds the stream: sluice sends one with the head,
 * or after a second without an event.
 */
export const PRELUDE_MS = 1_500;

/** Returns the verdict on a stream without events. */
export function silent(url: Reading, forMs: number): Verdict {
  const { headAt, sentAt = 0, name } = url;
  const base = { kind: undefined, hop: undefined, software: softwareOf(url.head?.fields ?? [])?.name };
  if (headAt === undefined) {
    return {
      ...base,
      outcome: "silent",
      isSure: false,
      sentence: `No response from ${name} within ${seconds(forMs)}: the sender is silent, or a hop holds its head back.`,
      remedy: plainRemedy("wait longer (--for 60s), or probe the server behind it: --hop backend=URL"),
      exit: PROBE_EXIT.none,
    };
  }
  const isOpen = url.end?.kind === "open";
  const comment = url.comments[0];
  if (isOpen && comment !== undefined && comment - headAt < PRELUDE_MS && headAt - sentAt < AT_ONCE_MS) {
    return {
      ...base,
      outcome: "prompt",
      isSure: false,
      sentence: `Probably prompt: the head and a first comment came at once, but no event within ${seconds(forMs)}.`,
      remedy: undefined,
      exit: PROBE_EXIT.prompt,
    };
  }
  const time = isOpen
    ? `within ${seconds(forMs)}`
    : url.end?.kind === "limit"
      ? "within the bytes that a probe reads"
      : "before the stream ended";
  return {
    ...base,
    outcome: "silent",
    isSure: false,
    sentence: `Nothing to measure: the head came after ${seconds(headAt - sentAt)}, but no event ${time}.`,
    remedy: plainRemedy(
      "wait longer (--for 60s), or probe a path that sends events: probe: true in sluice.yaml opens /.sluice/probe",
    ),
    exit: PROBE_EXIT.none,
  };
}
