import type { Found } from "./diagnosis.ts";
import { comparable } from "./diagnosis.ts";
import { type Cut, guessTimer } from "./ending.ts";
import { type Findings, PROBE_EXIT, type Verdict } from "./finding.ts";
import { compare, lagOf } from "./pair.ts";
import type { Reading } from "./reading.ts";
import { refusalOf } from "./refusal.ts";
import { cutRemedy, plainRemedy, remedyFor } from "./remedy.ts";
import { seconds } from "./seconds.ts";
import { lateHead, PRELUDE_MS, silent } from "./silence.ts";
import { type Software, softwareOf } from "./software.ts";
import { sendTimes } from "./stamps.ts";
import type { Symptom } from "./symptom.ts";
import type { TrialResults } from "./trials.ts";

/** Returns the verdict, with the finding in one sentence. */
export function verdictOf(findings: Findings): Verdict {
  const { readings, delay, cut } = findings;
  const url = readings.at(-1);
  if (url === undefined) throw new TypeError("a probe has a URL");
  return (
    unreachable(url) ??
    noStream(url) ??
    (delay === undefined ? undefined : late(delay, findings)) ??
    (cut === undefined ? undefined : cutShort(cut, findings)) ??
    lateHead(url, findings) ??
    (url.events.length === 0 ? silent(url, findings.forMs) : prompt(url, readings))
  );
}

function unreachable(url: Reading): Verdict | undefined {
  const { fault, name: hop } = url;
  if (fault === undefined) return undefined;
  return {
    outcome: "unreachable",
    kind: fault.kind,
    hop,
    software: undefined,
    isSure: true,
    sentence: `Not reachable: ${fault.sentence}.`,
    remedy: plainRemedy(fault.remedy),
    exit: PROBE_EXIT.none,
  };
}

function noStream(url: Reading): Verdict | undefined {
  const refusal =
    url.trouble === undefined
      ? refusalOf(url)
      : {
          sentence: `cannot be read: ${url.trouble}`,
          remedy: "request another coding: --header 'Accept-Encoding: identity'",
        };
  if (refusal === undefined) return undefined;
  return {
    outcome: "no-stream",
    kind: undefined,
    hop: url.name,
    software: softwareOf(url.head?.fields ?? [])?.name,
    isSure: true,
    sentence: `Not a stream: ${url.name} ${refusal.sentence}.`,
    remedy: plainRemedy(refusal.remedy),
    exit: PROBE_EXIT.none,
  };
}

/** The subject of the sentence: the program at fault, and its place. */
function culprit({ hop, behind }: Found<unknown>, software: Software | undefined): string {
  if (behind !== undefined)
    return software === undefined
      ? `A hop between ${behind.name} and ${hop.name}`
      : `${software.name} (${hop.name})`;
  return software === undefined ? `A server behind ${hop.name}` : `${software.name} or a server behind it`;
}

function late(found: Found<Symptom>, { results, readings }: Findings): Verdict | undefined {
  const { hop, behind, what } = found;
  // A sender may replay a history; only a cache gives every client the same events.
  if (what.kind === "replayed" && !results.isRecording) return undefined;
  const isChain = comparable(readings).length > 1;
  // If no hop adds delay, the cause is behind the innermost hop, and its Server field does not name it.
  const software =
    isChain && behind === undefined ? undefined : softwareOf(hop.head?.fields ?? results.headFields);
  const { isPromptUncompressed, isTlsBuffer, isLocked } = results;
  const remedy = remedyFor(what.kind, {
    software,
    coding: hop.coding,
    isPromptUncompressed,
    isTlsBuffer,
    isLocked,
    lagMs: what.lagMs,
  });
  const isSure = what.isSure || isPromptUncompressed || isTlsBuffer || isLocked || results.isHeadHeld;
  const doubt =
    isSure || behind !== undefined ? "" : ", or the sender itself sends late; --hop backend=URL tells which";
  return {
    outcome: "late",
    kind: what.kind,
    hop: hop.name,
    software: software?.name,
    isSure,
    sentence: `${culprit(found, software)} ${delayText(what, results, hop)}${doubt}.`,
    remedy,
    exit: PROBE_EXIT.late,
  };
}

function delayText({ kind, lagMs, events }: Symptom, results: TrialResults, hop: Reading): string {
  const lag = seconds(lagMs);
  const how = results.isPromptUncompressed
    ? ` (prompt without ${hop.coding})`
    : results.isTlsBuffer
      ? " (prompt by HTTP/2)"
      : hop.coding === undefined
        ? ""
        : ` (compressed by ${hop.coding})`;
  switch (kind) {
    case "nothing":
      return `forwards nothing: ${events} events wait, the first for ${lag}`;
    case "all-at-once":
      return `holds events back: ${events} came all at once, typically ${lag} late${how}`;
    case "in-groups":
      return `holds events back: ${events} came in groups, typically ${lag} late${how}`;
    case "tail":
      return `holds the end of each event back until the next event: ${events} events, typically ${lag} late${how}`;
    case "head":
      return results.isLocked
        ? `makes a client wait for another client's response: the head took ${lag}`
        : `holds the response head back until the first bytes: ${lag} late`;
    case "replayed":
      return `answers from a cache: ${events} events came at once, up to ${lag} old, and another request gets the same events`;
    default:
      return `delays each event: ${events} events, typically ${lag} late${how}`;
  }
}

function cutShort(found: Found<Cut>, { results }: Findings): Verdict {
  const { hop, behind, what } = found;
  const software = softwareOf(hop.head?.fields ?? []);
  const { timer } = results;
  const guess = timer === undefined ? undefined : guessTimer(what);
  const after = `${what.afterSeconds.toFixed(1)} s, ${what.silentSeconds.toFixed(1)} s after the last byte`;
  const again =
    timer === undefined ? "" : `, twice: a timer${guess === undefined ? "" : `, perhaps ${guess}`}`;
  const unseen = what.isVisible ? "" : "; to a client the stream looks complete";
  const who = behind === undefined ? "The stream is cut" : `${culprit(found, software)} cuts the stream`;
  return {
    outcome: "cut",
    kind: timer === undefined ? "once" : "timer",
    hop: hop.name,
    software: software?.name,
    isSure: true,
    sentence: `${who} after ${after}${again}${unseen}.`,
    remedy: cutRemedy(software, what),
    exit: PROBE_EXIT.late,
  };
}

function prompt(url: Reading, readings: readonly Reading[]): Verdict {
  const hops = comparable(readings);
  const [innermost] = hops;
  const count = `${url.events.length} event${url.events.length === 1 ? "" : "s"}`;
  const base = {
    outcome: "prompt",
    kind: undefined,
    hop: undefined,
    remedy: undefined,
    exit: PROBE_EXIT.prompt,
  } as const;
  const software = softwareOf(url.head?.fields ?? [])?.name;
  if (innermost !== undefined && innermost !== url) {
    const lag = lagOf(compare(innermost, url));
    const sentence = `Prompt: ${count}, typically ${seconds(lag?.medianMs ?? 0)} behind ${innermost.name}.`;
    return { ...base, software, isSure: true, sentence };
  }
  const isTimed = sendTimes(url.events) !== undefined;
  if (!isTimed && hasEarlyComment(url)) {
    const sentence = `Prompt: ${count}; a comment came with the head, before the first event, so no hop holds the stream back.`;
    return { ...base, software, isSure: true, sentence };
  }
  const sentence = isTimed
    ? `Prompt: ${count}, each on time by the times in the events.`
    : `Probably prompt: ${count}, not in groups; --hop backend=URL would prove it.`;
  return { ...base, software, isSure: isTimed, sentence };
}

/** A comment that came soon after the head, and this long before the first event, in ms, did not wait in a buffer. */
const EARLY_MS = 200;

function hasEarlyComment({ headAt = 0, comments, events }: Reading): boolean {
  const [comment = Number.POSITIVE_INFINITY] = comments;
  return comment - headAt < PRELUDE_MS && (events[0]?.firstAt ?? 0) - comment > EARLY_MS;
}
