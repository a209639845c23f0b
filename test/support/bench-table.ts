import { readFileSync } from "node:fs";

interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

interface Row {
  readonly id: string;
  readonly key: string;
  readonly must?: number;
  readonly more?: boolean;
  readonly proxies: Readonly<Record<string, { ratio?: Spread; faults: readonly string[] }>>;
}

interface Results {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string };
  readonly rows: readonly Row[];
}

const RESULTS = new URL("../bench/results/bench.json", import.meta.url);

/** The results that `npm run bench -- --save` wrote last. */
const results = (): Results => JSON.parse(readFileSync(RESULTS, "utf8")) as Results;

/** A row of a table: its label, its measurement and its figure. */
type Line = readonly [label: string, id: string, key: string];

const STREAMS: readonly Line[] = [
  ["CPU for an event; 1,000 streams, 20,000 events/s", "relay", "cpu"],
  ["added latency, 99th percentile", "relay", "p99"],
  ["memory of an idle stream", "memory", "memory"],
  ["streams opened per second", "opens", "rate"],
  ["events per second of one core", "saturation", "rate"],
  ["ordinary requests per second, kept connections", "ordinary", "rate"],
];

const SHARED: readonly Line[] = [
  ["CPU of proxy and backend for an event; 9,900 clients", "shared-10000", "system"],
  ["CPU for an event; 9,900 clients, bursts of 5", "bursts-10000", "cpu"],
  ["memory of an idle client", "shared-memory", "memory"],
];

const GROWTH: readonly Line[] = ["100", "1000", "9000"].flatMap((count): Line[] => {
  const streams = `${Number(count).toLocaleString("en")} streams`;
  return [
    [`${streams}: CPU for an event`, `growth-${count}`, "cpu"],
    [`${streams}: added latency, 99th percentile`, `growth-${count}`, "p99"],
    [`${streams}: memory of a stream`, `growth-${count}`, "memory"],
    [`${streams}: opened per second`, `growth-${count}`, "opens"],
  ];
});

const RELAYS = ["haproxy", "caddy", "http-proxy", "httpxy", "@fastify/http-proxy", "floor"];
const NAMES: Readonly<Record<string, string>> = { haproxy: "HAProxy", caddy: "Caddy", floor: "bare relay" };

const TABLES = {
  streams: { lines: STREAMS, others: RELAYS },
  shared: { lines: SHARED, others: ["haproxy", "nchan"] },
  growth: { lines: GROWTH, others: RELAYS },
};

/** The processor and the Node of the run. */
export function benchMachine(): string {
  const { cpu, cores, node } = results().machine;
  return `Measured on ${cores} cores of a virtual ${cpu} with Node ${node.replace(/^v(\d+)\..*/, "$1")}.`;
}

/** The medians of the ratios to nginx, as a Markdown table. */
export function benchTable(name: keyof typeof TABLES): string {
  const { lines, others } = TABLES[name];
  const { rows } = results();
  const isBound = lines.some(([, id, key]) => find(rows, id, key).must !== undefined);
  const head = ["ratio to nginx", "sluice", ...(isBound ? ["bound"] : []), ...others.map(named)];
  const body = lines.map(([label, id, key]) => {
    const row = find(rows, id, key);
    return [
      label,
      ownCell(row),
      ...(isBound ? [boundCell(row)] : []),
      ...others.map((proxy) => cell(row, proxy)),
    ];
  });
  return [head, head.map(() => "---"), ...body].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

const named = (proxy: string): string => NAMES[proxy] ?? proxy;

function find(rows: readonly Row[], id: string, key: string): Row {
  const row = rows.find((one) => one.id === id && one.key === key);
  if (row === undefined) throw new Error(`bench.json has no ${key} of ${id}: measure all with --save`);
  return row;
}

const figure = (value: number): string => (value >= 10 ? value.toFixed(1) : value.toFixed(2));

function cell(row: Row, proxy: string): string {
  const found = row.proxies[proxy];
  if (found === undefined) return "";
  if (found.faults.length > 0 || found.ratio === undefined) return "faulty";
  return figure(found.ratio.median);
}

function ownCell(row: Row): string {
  const ratio = row.proxies["sluice"]?.ratio;
  if (ratio === undefined) return "faulty";
  const { median, min, max } = ratio;
  return min === max ? figure(median) : `${figure(median)} [${figure(min)}–${figure(max)}]`;
}

function boundCell({ must, more = false, proxies }: Row): string {
  if (must === undefined) return "";
  const median = proxies["sluice"]?.ratio?.median ?? Number.NaN;
  const isMet = more ? median >= must : median <= must;
  return `${more ? "≥" : "≤"} ${must}${isMet ? "" : ", **missed**"}`;
}
