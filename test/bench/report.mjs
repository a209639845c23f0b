import { smallOf } from "./proxies.mjs";

/** Computes medians and ratios from the rounds' figures, and renders the table. */
const REFERENCE = "nginx";

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const spread = (values) =>
  values.length === 0
    ? undefined
    : { median: median(values), min: Math.min(...values), max: Math.max(...values), rounds: values.length };

/** The most by which a figure may be worse than that of the baseline in the same turns. */
const MAX_WORSE = 1.1;
/** The last percent of the latencies varies by more than that between two runs of one build. */
const UNSTEADY = ["p50", "p99"];

/** Whether the median of the ratios meets a bound; undefined without the reference in the same rounds. */
function verdict({ must, aim, more = false }, ratio) {
  if (must === undefined || ratio === undefined) return undefined;
  const holds = (bound) => (more ? ratio.median >= bound : ratio.median <= bound);
  return { must, aim, isMet: holds(must), isAimMet: holds(aim) };
}

/**
 * `rounds` has one { name: { figures, others } | { fault } } for each round of one measurement. Returns a row for
 * each of its figures, with the results of each proxy.
 */
function rowsOf(id, { title, figures, isGrowth = false, beside, sizes }, rounds) {
  const names = [...new Set(rounds.flatMap((round) => Object.keys(round)))];
  return Object.entries(figures).map(([key, figure]) => {
    const figureOf = (round, name) => round[name]?.figures?.[key];
    const referenceOf = (name) => (isGrowth ? smallOf(name) : REFERENCE);
    const ratioOf = (round, name, other) => figureOf(round, name) / figureOf(round, other);
    const spreadOf = (ratio) => spread(rounds.map(ratio).filter((value) => Number.isFinite(value)));
    const proxies = names.map((name) => {
      const values = rounds.map((round) => figureOf(round, name)).filter((value) => value !== undefined);
      const faults = rounds.map((round) => round[name]?.fault).filter((fault) => fault !== undefined);
      const others = rounds.map((round) => round[name]?.others).filter((share) => share !== undefined);
      const growth = (round) => ratioOf(round, name, referenceOf(name));
      const ratio = spreadOf(growth);
      const result = { value: spread(values), ratio, faults, others: spread(others)?.median };
      if (name !== "sluice") return [name, result];
      const toFloor = spreadOf((round) => ratioOf(round, name, "floor"));
      const toBaseline = UNSTEADY.includes(key)
        ? undefined
        : spreadOf((round) => ratioOf(round, name, "baseline"));
      const toBeside =
        beside && spreadOf((round) => growth(round) / ratioOf(round, beside, referenceOf(beside)));
      const bound = beside === undefined ? ratio : toBeside;
      return [name, { ...result, toFloor, toBaseline, toBeside, verdict: verdict(figure, bound) }];
    });
    return { id, title, key, ...figure, isGrowth, beside, sizes, proxies: Object.fromEntries(proxies) };
  });
}

export const report = (measurements, results) =>
  Object.entries(results).flatMap(([id, rounds]) => rowsOf(id, measurements[id], rounds));

const round = (value) =>
  value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(value >= 10 ? 1 : 2);

const ratioText = ({ ratio }) =>
  ratio === undefined ? "-" : `${ratio.median.toFixed(2)} [${ratio.min.toFixed(2)}-${ratio.max.toFixed(2)}]`;

function verdictText({ verdict: found }, { more }) {
  if (found === undefined) return "";
  const sign = more ? ">=" : "<=";
  const word = found.isAimMet ? "PASS, aim reached" : found.isMet ? "PASS" : "FAIL";
  const aim = found.aim === undefined ? "" : `, aims ${sign} ${found.aim}`;
  return `${word} (must ${sign} ${found.must}${aim})`;
}

function line(name, row) {
  const proxy = row.proxies[name];
  const value = proxy.value === undefined ? "-" : `${round(proxy.value.median)} ${row.unit}`;
  const fault = proxy.faults.length === 0 ? "" : `  FAULTY ${proxy.faults.length}x: ${proxy.faults[0]}`;
  const cells = [`  ${name.padEnd(20)}`, value.padStart(16), ratioText(proxy).padStart(20)];
  return `${cells.join("")}  ${verdictText(proxy, row)}${fault}`.trimEnd();
}

/** Formats the report: a block for each figure; ratios are those of the same round, with [min-max]. */
export function table(rows) {
  return rows
    .map((row) => {
      const names = Object.keys(row.proxies).sort((a, b) => Number(a === "sluice") - Number(b === "sluice"));
      return [`${row.title}: ${row.label}`, ...names.map((name) => line(name, row))].join("\n");
    })
    .join("\n\n");
}

const boundLine = (row, ratio, text) =>
  `${`${row.title}: ${row.label}`.padEnd(90)}${ratioText({ ratio }).padEnd(20)}${text}`;

/** Returns one line for each bound of sluice. */
export function verdicts(rows) {
  return rows.flatMap((row) => {
    const { verdict: found, ratio, toBeside = ratio, toFloor, value } = row.proxies["sluice"] ?? {};
    const lines = found === undefined ? [] : [boundLine(row, toBeside, verdictText({ verdict: found }, row))];
    const add = (of, bound, text) => {
      if (bound === undefined || of === undefined) return;
      const word = of.median <= bound ? "PASS" : "FAIL";
      lines.push(boundLine(row, of, `${word} (must <= ${bound} ${text})`));
    };
    add(toFloor, row.mustOfFloor, "of the bare relay");
    add(value, row.mustBe, row.unit);
    return lines;
  });
}

/** Returns one line for each figure of sluice that was compared with the baseline in the same turns. */
export function changes(rows) {
  return rows.flatMap((row) => {
    const ratio = row.proxies["sluice"]?.toBaseline;
    if (ratio === undefined) return [];
    const worse = row.more ? 1 / ratio.median : ratio.median;
    const text = `${worse > MAX_WORSE ? "FAIL" : "PASS"} (to the baseline; at most 10 % worse)`;
    return [boundLine(row, ratio, text)];
  });
}
