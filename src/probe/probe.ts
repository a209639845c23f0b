import { type Ask, Budget, type Hop, read } from "./client.ts";
import { comparable, type Found, findCut, findDelay } from "./diagnosis.ts";
import type { Verdict } from "./finding.ts";
import { type Note, notesOf } from "./notes.ts";
import { laterBy } from "./pair.ts";
import type { Reading } from "./reading.ts";
import { refusalOf } from "./refusal.ts";
import { resumeNotes } from "./resume.ts";
import { seconds } from "./seconds.ts";
import { Stop } from "./stop.ts";
import type { Symptom } from "./symptom.ts";
import { runTrials, type Trial, type TrialResults } from "./trials.ts";
import { verdictOf } from "./verdict.ts";

/** The options of a probe. */
export interface ProbeOptions {
  /** From the backend outwards; the last one is the URL. */
  readonly hops: readonly Hop[];
  readonly ask: Ask;
  /** How long to read, in ms; each trial takes at most as long again. */
  readonly forMs: number;
  /** The Origin of the request; undefined without one. */
  readonly origin: string | undefined;
  /** Ends the probe early, with a verdict on the data so far. */
  readonly signal: AbortSignal;
}

/** Observes a running probe. */
export interface Watcher {
  /** Called once, with readings that fill as bytes come. */
  onStart(readings: readonly Reading[]): void;
  /** Called before each trial. */
  onTrial(what: string): void;
}

/** The full result of a probe. */
export interface Report {
  readonly readings: readonly Reading[];
  readonly trials: readonly Trial[];
  readonly notes: readonly Note[];
  readonly verdict: Verdict;
  /** Connections that were opened. */
  readonly connections: number;
}

/** How long the other hops are read after the URL's stream has ended, in ms, to see whether they continue. */
const GRACE_MS = 1_000;

/** Reads all hops at once, runs the trials that distinguish causes, and returns the verdict. Never rejects. */
export async function runProbe(options: ProbeOptions, watcher: Watcher): Promise<Report> {
  const { hops, ask, forMs, signal } = options;
  // Two connections per URL.
  const budget = new Budget(2 * hops.length);
  budget.pauses.start();
  const readings = await readAll(options, budget, watcher);
  const url = readings.at(-1);
  if (url === undefined) throw new TypeError("a probe has a URL");
  const usable = url.fault === undefined && refusalOf(url) === undefined && url.trouble === undefined;
  const cut = usable ? findCut(readings) : undefined;
  const found = usable ? findDelay(readings) : undefined;
  // A cut matters more than a late head.
  const delay = cut !== undefined && found?.what.kind === "head" ? undefined : found;
  const setup = {
    ask,
    hops,
    budget,
    longestMs: forMs,
    signal,
    onTrial: (what: string) => watcher.onTrial(what),
  };
  const results = await runTrials({ delay, cut, url: usable ? url : undefined }, setup);
  const isDoubtful = isDoubtfulHead(delay, results);
  const verdict = verdictOf({ readings, delay: isDoubtful ? undefined : delay, cut, results, forMs });
  budget.pauses.stop();
  const isClean = verdict.outcome === "prompt" && readings.length > 1;
  const resumed = isClean ? await resumeNotes(readings, setup) : [];
  const notes = [
    ...unusable(readings),
    ...(isDoubtful ? [lateHeadNote(url)] : []),
    ...(verdict.outcome === "prompt" ? ownAnswers(readings) : []),
    ...readings.flatMap((one) => notesOf(one, options.origin)),
    ...resumed,
  ];
  return { readings, trials: results.trials, notes, verdict, connections: budget.opened };
}

async function readAll(
  { hops, ask, forMs, signal }: ProbeOptions,
  budget: Budget,
  watcher: Watcher,
): Promise<readonly Reading[]> {
  const stop = new Stop(signal, forMs);
  const readings = hops.map((hop) => read(hop, ask, budget, stop.signal));
  watcher.onStart(readings);
  const url = readings.at(-1);
  await Promise.race([stop.ended(), url?.over()]);
  const isDone = url?.fault !== undefined || readings.length === 1;
  const others = Promise.all(readings.map((reading) => reading.over()));
  if (!isDone) await Promise.race([stop.ended(), others, sleep(GRACE_MS)]);
  stop.abort();
  await others;
  return readings;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * With one URL, a head that came with the first event is only a note: servers of language models send both together
 * themselves.
 */
function isDoubtfulHead(delay: Found<Symptom> | undefined, { isLocked }: TrialResults): boolean {
  return delay?.what.kind === "head" && !delay.what.isSure && !isLocked;
}

function lateHeadNote({ name, headAt = 0, sentAt = 0 }: Reading): Note {
  const text = `the head came with the first event, after ${seconds(headAt - sentAt)}: the sender does so, or a buffer holds it back`;
  return { hop: name, text, rule: "response-buffered" };
}

/** Notes a lag that only event numbers support: the hop's separate response may have started later. */
function ownAnswers(readings: readonly Reading[]): Note[] {
  const [innermost, ...others] = comparable(readings);
  if (innermost === undefined) return [];
  return others.flatMap((reading): Note[] => {
    const lag = laterBy(innermost, reading);
    if (lag === undefined) return [];
    const text = `its events come ${seconds(lag)} later than those of ${innermost.name}; each hop has a separate response without times, so this may be the backend's pace`;
    return [{ hop: reading.name, text, rule: undefined }];
  });
}

/** Notes inner hops that cannot be compared. */
function unusable(readings: readonly Reading[]): Note[] {
  return readings.slice(0, -1).flatMap((reading): Note[] => {
    const text = reading.fault?.sentence ?? refusalOf(reading)?.sentence;
    return text === undefined
      ? []
      : [{ hop: reading.name, text: `cannot be compared: ${text}`, rule: undefined }];
  });
}
