import { readFileSync } from "node:fs";

const HERE = new URL(".", import.meta.url);
const read = (name) => JSON.parse(readFileSync(new URL(name, HERE), "utf8"));

/** The ways of the table; a way with sluice stands behind the same way without it. */
const COLUMNS = ["sluice", "nginx 1.22", "nginx 1.22, sluice", "nginx 1.30", "nginx 1.30, sluice"];
const WITHOUT = { sluice: "direct", "nginx 1.22, sluice": "nginx 1.22", "nginx 1.30, sluice": "nginx 1.30" };
const SETTINGS = {
  contentTypes: "works with [`contentTypes`](streaming.md#what-counts-as-a-stream)",
  websocket: "works with [`websocket`](backends.md#websocket)",
};
/** How good the outcome of a check is; any other is the reason of a failure, and worst. */
const RANKS = { yes: 2, late: 1, hidden: 1 };

const rank = (outcome) => RANKS[outcome] ?? 0;

/** "works", "late" or "no": the checks of a way beside those of the client without a proxy. */
function outcomeOf(checks, direct) {
  const off = Object.entries(checks).filter(([check, outcome]) => outcome !== direct[check]);
  if (off.length === 0) return "works";
  return off.some(([, outcome]) => outcome === "late") ? "late" : "no";
}

/** The outcome of each way: with the defaults, or the first setting with which it works. */
export function summary({ label, packages, settings }) {
  const { defaults, ...others } = settings;
  const way = (name) => {
    const usual = outcomeOf(defaults[name], defaults.direct);
    if (usual === "works") return usual;
    const helpful = Object.keys(others).find(
      (setting) => others[setting][name] && outcomeOf(others[setting][name], defaults.direct) === "works",
    );
    return helpful ?? usual;
  };
  return { label, packages, ways: Object.fromEntries(COLUMNS.map((name) => [name, way(name)])) };
}

/** What is wrong: worse through sluice than without it, broken with each setting, or even without a proxy. */
export function problems(name, result) {
  const { defaults } = result.settings;
  const { ways } = summary(result);
  const broken = Object.entries(defaults.direct)
    .filter(([, outcome]) => rank(outcome) === 0 || outcome === "late")
    .map(([check, outcome]) => `${name}: ${check} fails without a proxy: ${outcome}`);
  const helpless = Object.keys(WITHOUT)
    .filter((way) => ["late", "no"].includes(ways[way]))
    .map((way) => `${name}: no setting helps: ${way}: ${JSON.stringify(defaults[way])}`);
  const unexpected = Object.entries(WITHOUT).filter(([way]) => ways[way] !== result.needs);
  const lost = unexpected.flatMap(([way, without]) =>
    Object.entries(defaults[way])
      .filter(([check, outcome]) => rank(outcome) < rank(defaults[without][check]))
      .map(([check, outcome]) => `${name}: ${check} is worse with sluice: ${way}: ${outcome}`),
  );
  return [...broken, ...helpless, ...lost];
}

/** What differs from the saved results. */
export function differences(name, result, saved) {
  const { ways } = summary(result);
  return Object.keys(ways)
    .filter((way) => ways[way] !== saved.ways?.[way])
    .map((way) => `${name}: ${way}: ${ways[way]}, but results.json says ${saved.ways?.[way]}`);
}

/** The saved summaries of one folder: `clients` or `applications`. */
export const savedRows = (folder) =>
  Object.entries(read("results.json"))
    .filter(([name]) => name.startsWith(`${folder}/`))
    .map(([, row]) => row);

/** Summaries as a Markdown table, with the versions of test/field/package.json. */
export function table(rows) {
  const { dependencies } = read("package.json");
  const head = ["", "version", ...COLUMNS];
  const body = rows.map(({ label, packages, ways }) => [
    label,
    dependencies[packages[0]] ?? "",
    ...COLUMNS.map((name) => SETTINGS[ways[name]] ?? ways[name]),
  ]);
  return [head, head.map(() => "---"), ...body].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
