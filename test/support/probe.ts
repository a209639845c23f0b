import type { Ask, Hop } from "../../src/probe/client.ts";
import { type ProbeOptions, type Report, runProbe } from "../../src/probe/probe.ts";
import { parseTarget } from "../../src/probe/target.ts";

/** Creates a hop with a name, such as `url`. */
export function hopOf(name: string, url: string): Hop {
  const target = parseTarget(url);
  if (target === undefined) throw new Error(`no URL: ${url}`);
  return { name, target };
}

type Setup = Partial<Omit<ProbeOptions, "ask">> & { readonly ask?: Partial<Ask> };

/** Probes a URL and the named hops behind it, from the backend outwards. */
export function probeUrl(
  url: string,
  behind: Readonly<Record<string, string>> = {},
  { ask, ...more }: Setup = {},
): Promise<Report> {
  return runProbe(
    {
      hops: [...Object.entries(behind).map(([name, inner]) => hopOf(name, inner)), hopOf("url", url)],
      forMs: 20_000,
      origin: undefined,
      signal: new AbortController().signal,
      ask: {
        method: "GET",
        fields: [],
        body: undefined,
        http: "auto",
        insecure: true,
        host: hopOf("url", url).target.authority,
        ...ask,
      },
      ...more,
    },
    { onStart() {}, onTrial() {} },
  );
}

/** Returns the parts of a verdict that tests check. */
export function found({ verdict, trials, connections }: Report) {
  const { outcome, kind, hop, software, isSure, remedy, exit } = verdict;
  return {
    outcome,
    kind,
    hop,
    software,
    isSure,
    rule: remedy?.rule,
    directive: remedy?.directive,
    exit,
    tried: trials.map(({ name, outcome: said }) => `${name}: ${said}`),
    connections,
  };
}
