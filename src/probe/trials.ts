import type { RawFields } from "../http/fields.ts";
import { type Ask, type Budget, type Hop, read } from "./client.ts";
import type { Found } from "./diagnosis.ts";
import { type Cut, cutOf, pairCut, timerOf } from "./ending.ts";
import { groupsOf } from "./groups.ts";
import { pairSymptom } from "./pair.ts";
import type { Reading } from "./reading.ts";
import { Stop } from "./stop.ts";
import { type Symptom, symptomOf } from "./symptom.ts";
import type { Target } from "./target.ts";

/** The outcome of a request that differs from the first one in one respect. */
export interface Trial {
  /** `identity`, `http2`, `head`, `again` or `bypass`. */
  readonly name: string;
  /** A sentence. */
  readonly outcome: string;
}

/** The outcome of all trials. */
export interface TrialResults {
  readonly trials: readonly Trial[];
  readonly isPromptUncompressed: boolean;
  readonly isTlsBuffer: boolean;
  readonly isRecording: boolean;
  readonly isLocked: boolean;
  /** HEAD got a response at once, and GET did not. */
  readonly isHeadHeld: boolean;
  /** The fields of the response to HEAD; they name the program if GET gets no response. */
  readonly headFields: RawFields;
  readonly timer: ReturnType<typeof timerOf>;
}

/** The limits of the trials. */
export interface TrialSetup {
  readonly ask: Ask;
  readonly hops: readonly Hop[];
  readonly budget: Budget;
  /** The longest time of one trial, in ms. */
  readonly longestMs: number;
  /** Stops the probe. */
  readonly signal: AbortSignal;
  /** Called with the name of each trial before it starts. */
  readonly onTrial: (what: string) => void;
}

/** The result of the first readings. */
export interface Question {
  readonly delay: Found<Symptom> | undefined;
  readonly cut: Found<Cut> | undefined;
  /** The reading of the URL; undefined if it is not a stream. */
  readonly url: Reading | undefined;
}

const NOTHING: TrialResults = {
  trials: [],
  isPromptUncompressed: false,
  isTlsBuffer: false,
  isRecording: false,
  isLocked: false,
  isHeadHeld: false,
  headFields: [],
  timer: undefined,
};

/** The least delay of a head that is worth a trial, in ms. */
const SLOW_HEAD_MS = 1_000;

/** Runs the trials that distinguish the possible causes, one after the other. */
export async function runTrials(question: Question, setup: TrialSetup): Promise<TrialResults> {
  const lab = new Lab(setup);
  const { delay, cut, url } = question;
  if (url === undefined) return NOTHING;
  if (delay?.what.kind === "replayed") return { ...NOTHING, ...(await lab.again(delay.hop)) };
  // One URL leaves one connection: it tests a late head for a cache lock, and a missing head for a buffer.
  if (delay?.what.kind === "head" && delay.behind === undefined)
    return { ...NOTHING, ...(await lab.bypass(delay.hop)) };
  if (delay?.what.kind === "head") return NOTHING;
  if (delay === undefined && url.headAt === undefined) return { ...NOTHING, ...(await lab.head(url)) };
  if (delay?.hop.head === undefined && delay !== undefined)
    return { ...NOTHING, ...(await lab.head(delay.hop)) };
  if (delay !== undefined) return { ...NOTHING, ...(await lab.otherwise(delay)) };
  if (cut !== undefined) return { ...NOTHING, ...(await lab.cutAgain(cut)) };
  const headMs = (url.headAt ?? 0) - (url.sentAt ?? 0);
  if (headMs > SLOW_HEAD_MS) return { ...NOTHING, ...(await lab.bypass(url)) };
  return NOTHING;
}

class Lab {
  readonly #setup: TrialSetup;

  constructor(setup: TrialSetup) {
    this.#setup = setup;
  }

  /** For late events: asks without compression, then over HTTP/2. */
  async otherwise({ hop, behind }: Found<Symptom>): Promise<Partial<TrialResults>> {
    const trials: Trial[] = [];
    let isPromptUncompressed = false;
    let isTlsBuffer = false;
    if (hop.coding !== undefined) {
      const isPrompt = await this.#isPrompt(
        "without compression",
        hop,
        behind,
        withField(this.#setup.ask, "Accept-Encoding", "identity"),
      );
      if (isPrompt !== undefined)
        trials.push({ name: "identity", outcome: `${word(isPrompt)} without ${hop.coding}` });
      isPromptUncompressed = isPrompt ?? false;
    }
    const isTls1 = hop.tlsMs !== undefined && hop.head?.protocol !== "HTTP/2";
    if (!isPromptUncompressed && isTls1 && this.#setup.ask.http !== "auto") {
      const isPrompt = await this.#isPrompt("by HTTP/2", hop, behind, { ...this.#setup.ask, http: "2" });
      if (isPrompt !== undefined) trials.push({ name: "http2", outcome: `${word(isPrompt)} by HTTP/2` });
      isTlsBuffer = isPrompt ?? false;
    }
    return { trials, isPromptUncompressed, isTlsBuffer };
  }

  /** For old events: tests whether another request gets the same ones. */
  async again(hop: Reading): Promise<Partial<TrialResults>> {
    const [second] = await this.#read(
      "the same once more",
      [hop],
      this.#setup.ask,
      ([reading]) => reading?.isOver ?? true,
    );
    if (second === undefined || second.head === undefined) return {};
    const seen = new Set(hop.events.map(({ key }) => key));
    const isRecording = second.events.length > 0 && second.events.every(({ key }) => seen.has(key));
    const outcome = isRecording
      ? "another request gets the same events"
      : "another request gets other events";
    return { isRecording, trials: [{ name: "again", outcome }] };
  }

  /** For a missing head: tests whether HEAD, whose response has no body to buffer, gets a response at once. */
  async head(hop: Reading): Promise<Partial<TrialResults>> {
    const waitedMs = (hop.headAt ?? hop.end?.at ?? performance.now()) - (hop.sentAt ?? 0);
    const ask = { ...this.#setup.ask, method: "HEAD", body: undefined };
    const [reading] = await this.#read(
      "HEAD",
      [hop],
      ask,
      ([one]) => one?.head !== undefined || (one?.isOver ?? true),
    );
    const headMs = (reading?.headAt ?? Number.NaN) - (reading?.sentAt ?? 0);
    if (reading === undefined || Number.isNaN(headMs)) return {};
    const isHeadHeld = reading.head?.status === 200 && headMs < waitedMs / 3;
    return {
      isHeadHeld,
      headFields: reading.head?.fields ?? [],
      trials: [{ name: "head", outcome: `HEAD gets a response after ${Math.round(headMs)} ms` }],
    };
  }

  /**
   * For a late head: sends another query, which is another cache key. If the head then comes at once, the first
   * request waited for another client (proxy_cache_lock).
   */
  async bypass(hop: Reading): Promise<Partial<TrialResults>> {
    const waitedMs = (hop.headAt ?? Number.NaN) - (hop.sentAt ?? 0);
    const isDone = ([one]: readonly Reading[]) => one?.head !== undefined || (one?.isOver ?? true);
    const query = `sluice-probe=${Math.random().toString(36).slice(2)}`;
    const [reading] = await this.#read("another query", [hop], this.#setup.ask, isDone, { query });
    const headMs = (reading?.headAt ?? Number.NaN) - (reading?.sentAt ?? 0);
    if (reading === undefined || Number.isNaN(headMs)) return {};
    const isLocked = reading.head?.status === hop.head?.status && headMs < waitedMs / 3;
    const outcome = `with another query the head comes after ${Math.round(headMs)} ms`;
    return { isLocked, trials: [{ name: "bypass", outcome }] };
  }

  /** For a cut: tests whether it happens again after the same time. */
  async cutAgain({ hop, behind, what }: Found<Cut>): Promise<Partial<TrialResults>> {
    const ends = ([inner, outer]: readonly Reading[]) => (outer ?? inner)?.isOver ?? true;
    const names = behind === undefined ? [hop] : [behind, hop];
    const longestMs = 1000 * (what.afterSeconds + 2);
    const readings = await this.#read("the same once more", names, this.#setup.ask, ends, { longestMs });
    const [inner, outer] = readings;
    if (inner === undefined) return {};
    const second = outer === undefined ? cutOf(inner) : (pairCut(inner, outer) ?? cutOf(outer));
    if (second === undefined) return { trials: [{ name: "again", outcome: "was not cut the second time" }] };
    const timer = timerOf(what, second);
    const outcome = `was cut again after ${second.afterSeconds.toFixed(1)} s`;
    return { timer, trials: [{ name: "again", outcome }] };
  }

  /** Whether the hop is prompt for another request; undefined if the trial got no response. */
  async #isPrompt(
    what: string,
    hop: Reading,
    behind: Reading | undefined,
    ask: Ask,
  ): Promise<boolean | undefined> {
    const names = behind === undefined ? [hop] : [behind, hop];
    const readings = await this.#read(what, names, ask, (all) => {
      const last = all.at(-1);
      return last === undefined || last.isOver || (isSpread(last) && lateness(all) === undefined);
    });
    const last = readings.at(-1);
    if (last === undefined || last.fault !== undefined || last.head === undefined) return undefined;
    return isSpread(last) && lateness(readings) === undefined;
  }

  /** Reads the hops again until `isDone` or the time limit; returns no readings when no connection is left. */
  async #read(
    what: string,
    like: readonly Reading[],
    ask: Ask,
    isDone: (readings: readonly Reading[]) => boolean,
    { longestMs = this.#setup.longestMs, query = "" }: { longestMs?: number; query?: string } = {},
  ): Promise<readonly Reading[]> {
    const { hops, budget, signal, onTrial } = this.#setup;
    const asked = like
      .flatMap(({ name }) => hops.find((hop) => hop.name === name) ?? [])
      .map((hop) => ({ ...hop, target: withQuery(hop.target, query) }));
    if (signal.aborted || budget.left < asked.length) return [];
    onTrial(what);
    const stop = new Stop(signal, longestMs);
    const readings = asked.map((hop) => read(hop, ask, budget, stop.signal));
    const done = new Promise<void>((resolve) => {
      const check = () => {
        if (isDone(readings)) resolve();
      };
      for (const reading of readings) {
        reading.onChange = check;
        void reading.over().then(check);
      }
    });
    await Promise.race([stop.ended(), done]);
    stop.abort();
    await Promise.all(readings.map((reading) => reading.over()));
    return readings;
  }
}

function withQuery(target: Target, query: string): Target {
  if (query === "") return target;
  return { ...target, path: `${target.path}${target.path.includes("?") ? "&" : "?"}${query}` };
}

const word = (isPrompt: boolean): string => (isPrompt ? "prompt" : "also late");

/** Whether enough events arrived separately. */
function isSpread({ events, sentAt = 0 }: Reading): boolean {
  return groupsOf(events, sentAt).length >= 3;
}

function lateness(readings: readonly Reading[]): Symptom | undefined {
  const [inner, outer] = readings;
  if (inner === undefined) return undefined;
  return outer === undefined ? symptomOf(inner) : pairSymptom(inner, outer);
}

/** A copy of the request with one field set. */
export function withField(ask: Ask, name: string, value: string): Ask {
  const others = ask.fields.filter(([given]) => given.toLowerCase() !== name.toLowerCase());
  return { ...ask, fields: [...others, [name, value]] };
}
