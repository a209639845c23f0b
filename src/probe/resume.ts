import { read } from "./client.ts";
import type { Note } from "./notes.ts";
import type { Reading } from "./reading.ts";
import { Stop } from "./stop.ts";
import { type TrialSetup, withField } from "./trials.ts";

/** The longest wait for the first event of a resumed stream, in ms. */
const RESUME_MS = 3_000;

/**
 * Sends Last-Event-ID to the innermost hop and to the URL. If only the innermost hop resumes after that event, a hop
 * drops the field. Returns no note when events have no ids or the backend cannot resume.
 */
export async function resumeNotes(readings: readonly Reading[], setup: TrialSetup): Promise<Note[]> {
  const [inner] = readings;
  const outer = readings.at(-1);
  if (inner === undefined || outer === undefined || inner === outer) return [];
  const ids = inner.events.map(({ id }) => id);
  const known = new Set(outer.events.map(({ id }) => id));
  const shared = ids.filter((id) => id !== undefined && id !== "" && known.has(id));
  const first = shared[0];
  const last = shared[Math.floor(shared.length / 2)];
  if (first === undefined || last === undefined || first === last || setup.budget.left < 2) return [];
  setup.onTrial("Last-Event-ID");
  const [innerStart, outerStart] = await firstIds([inner, outer], setup, last);
  const isLost = innerStart !== undefined && innerStart !== first && outerStart === first;
  if (!isLost) return [];
  const text = `a hop drops Last-Event-ID: ${inner.name} resumes after that event, ${outer.name} starts from the beginning`;
  return [{ hop: outer.name, text, rule: "request-fields-dropped" }];
}

async function firstIds(
  readings: readonly Reading[],
  { hops, ask, budget, signal }: TrialSetup,
  lastEventId: string,
): Promise<(string | undefined)[]> {
  const asking = withField(ask, "Last-Event-ID", Buffer.from(lastEventId, "utf8").toString("latin1"));
  const stop = new Stop(signal, RESUME_MS);
  const again = readings.flatMap(({ name }) => {
    const hop = hops.find((one) => one.name === name);
    return hop === undefined ? [] : [read(hop, asking, budget, stop.signal)];
  });
  await Promise.all(
    again.map(async (reading) => {
      const begun = new Promise<void>((resolve) => {
        reading.onChange = () => {
          if (reading.events.length > 0) resolve();
        };
      });
      await Promise.race([begun, reading.over()]);
    }),
  );
  stop.abort();
  await Promise.all(again.map((reading) => reading.over()));
  return again.map(({ events }) => events[0]?.id);
}
