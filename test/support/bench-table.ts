import { readFileSync } from "node:fs";

interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

interface Row {
  readonly id: string;
  readonly key: string;
  readonly unit: string;
  readonly must?: number;
  readonly mustBe?: number;
  readonly more?: boolean;
  readonly sizes?: { readonly small: number; readonly large: number };
  readonly beside?: string;
  readonly proxies: Readonly<Record<string, Result>>;
}

interface Result {
  readonly value?: Spread;
  readonly ratio?: Spread;
  readonly faults: readonly string[];
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
  ["memory of an idle kept connection", "kept", "memory"],
  ["memory after 100,000 streams, compared with before", "leftovers", "factor"],
  ["streams opened per second", "opens", "rate"],
  ["events per second of one core", "saturation", "rate"],
  ["ordinary requests per second, kept connections", "ordinary", "rate"],
  ["ordinary requests, 99th percentile", "ordinary", "p99"],
  ["responses of 1 MiB per second", "download", "rate"],
  ["requests of 1 MiB per second", "upload", "rate"],
];

const SHARED: readonly Line[] = [
  ["CPU of proxy and backend for an event; 9,900 clients", "shared-10000", "system"],
  ["CPU for an event; 9,900 clients, bursts of 5", "bursts-10000", "cpu"],
  ["time until the last of 9,900 clients has an event", "shared-10000", "last"],
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

/** What sluice has many of, and its measurement. */
const COSTS: readonly (readonly [many: string, id: string])[] = [
  ["streams", "grow-streams"],
  ["clients of a shared stream", "grow-clients"],
  ["shared streams with a client each", "grow-channels"],
  ["routes", "grow-routes"],
  ["backends", "grow-backends"],
  ["apps", "grow-apps"],
];

const RELAYS = ["haproxy", "caddy", "http-proxy", "httpxy", "@fastify/http-proxy", "floor"];
const NAMES: Readonly<Record<string, string>> = {
  haproxy: "HAProxy",
  caddy: "Caddy",
  floor: "bare relay",
  writer: "bare writer",
};

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
  const isBound = lines.some(([, id, key]) => find(rows, id, key)?.must !== undefined);
  const head = ["ratio to nginx", "sluice", ...(isBound ? ["bound"] : []), ...others.map(named)];
  const body = lines.map(([label, id, key]) => {
    const row = find(rows, id, key);
    if (row === undefined) return [label, NOT_MEASURED];
    return [
      label,
      ownCell(row),
      ...(isBound ? [boundCell(row)] : []),
      ...others.map((proxy) => cell(row, proxy)),
    ];
  });
  return markdown(head, body);
}

/** How the costs of sluice grow: the medians of the ratios to a process with few, as a Markdown table. */
export function costTable(): string {
  const { rows } = results();
  const body = COSTS.map(([many, id]) => {
    const [event, open, memory, process] = ["event", "open", "memory", "process"].map((key) =>
      find(rows, id, key),
    );
    if (!event?.sizes || !open || !memory || !process) return [many, NOT_MEASURED];
    const { small, large } = event.sizes;
    const cells = [growthCell(event), growthCell(open), memoryCell(memory), processCell(process)];
    return [`${large.toLocaleString("en")} ${many}`, small.toLocaleString("en"), ...cells];
  });
  return markdown(COST_HEAD, body);
}

const COST_HEAD = [
  "many",
  "few",
  "CPU for an event",
  "CPU for opening and closing a stream",
  "memory of a stream",
  "memory of the process",
];

/** Renders a table; rows that are too short get empty cells. */
const markdown = (head: readonly string[], body: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...body]
    .map((cells) => `| ${head.map((_, at) => cells[at] ?? "").join(" | ")} |`)
    .join("\n");

/** The growth of sluice, and that of the bare program beside it. */
const growthCell = (row: Row): string =>
  row.beside === undefined
    ? cell(row, "sluice")
    : `${cell(row, "sluice")} (${named(row.beside)}: ${cell(row, row.beside)})`;

/** Few streams take too little memory for a ratio. */
const memoryCell = (row: Row): string =>
  row.beside === undefined ? cell(row, "sluice") : `${medianOf(row, "sluice")} KiB`;

const processCell = (row: Row): string =>
  row.beside === undefined ? `${medianOf(row, "sluice")} MiB, not ${medianOf(row, "sluice-small")}` : "";

const medianOf = ({ proxies }: Row, name: string): string =>
  figure(proxies[name]?.value?.median ?? Number.NaN);

/** For measurements that are newer than the saved results. */
const NOT_MEASURED = "not measured";

const named = (proxy: string): string => NAMES[proxy] ?? proxy;

const find = (rows: readonly Row[], id: string, key: string): Row | undefined =>
  rows.find((row) => row.id === id && row.key === key);

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

function boundCell({ must, mustBe, unit, more = false, proxies }: Row): string {
  const { ratio, value } = proxies["sluice"] ?? {};
  if (mustBe !== undefined) {
    const is = value?.median ?? Number.NaN;
    return `≤ ${mustBe} ${unit}; is ${figure(is)}${is <= mustBe ? "" : ", **missed**"}`;
  }
  if (must === undefined) return "";
  const median = ratio?.median ?? Number.NaN;
  const isMet = more ? median >= must : median <= must;
  return `${more ? "≥" : "≤"} ${must}${isMet ? "" : ", **missed**"}`;
}
