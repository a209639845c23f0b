import { median } from "./report.mjs";

/** The picture for docs/benchmarks.md: for each figure with a bound one bar per proxy, as a ratio to nginx. */
const WIDTH = 860;
const LABEL = 170;
const VALUE = 110;
const BAR = 16;
const GAP = 4;
const TITLE = 30;
const FOOT = 34;
/** Longer bars end here with an arrow; otherwise http-proxy would make all others too short to see. */
const MOST = 3;

const COLORS = { sluice: "#0a7f5a", nginx: "#6b7280" };
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const text = (x, y, content, extra = "") => `<text x="${x}" y="${y}" ${extra}>${escaped(content)}</text>`;

function bar(name, ratio, y, unit) {
  const length = Math.min(ratio, MOST) * unit;
  const weight = name === "sluice" ? 'font-weight="bold" ' : "";
  return [
    text(LABEL - 8, y + 12, name, `${weight}text-anchor="end"`),
    `<rect x="${LABEL}" y="${y}" width="${length.toFixed(1)}" height="${BAR}" fill="${COLORS[name] ?? "#b6bcc6"}"/>`,
    text(LABEL + length + 6, y + 12, `${ratio.toFixed(2)}${ratio > MOST ? " →" : ""}`, weight),
  ].join("");
}

function block(row, top) {
  const unit = (WIDTH - LABEL - VALUE) / MOST;
  const bars = Object.entries(row.proxies).filter(([, { ratio }]) => ratio !== undefined && ratio.median > 0);
  const sorted = bars.sort(([, a], [, b]) => (a.ratio.median - b.ratio.median) * (row.more ? -1 : 1));
  const best = row.more ? "more is better" : "less is better";
  const lines = sorted.map(([name, { ratio }], i) =>
    bar(name, ratio.median, top + TITLE + i * (BAR + GAP), unit),
  );
  const bottom = top + TITLE + sorted.length * (BAR + GAP);
  const must = LABEL + Math.min(row.must, MOST) * unit;
  const mark = `<line x1="${must}" x2="${must}" y1="${top + TITLE - 3}" y2="${bottom}" stroke="#c2410c" stroke-dasharray="3 3"/>`;
  const title = text(0, top + 18, `${row.title}: ${row.label} (${best})`, 'font-weight="bold"');
  return { svg: [title, ...lines, mark].join("\n"), bottom };
}

const isDrawn = ({ must, isGrowth, proxies }) =>
  must !== undefined && !isGrowth && proxies["sluice"]?.ratio !== undefined;

/** Draws the report's rows that have a bound; the dashed line is the bound. */
export function picture(rows) {
  const drawn = rows.filter((row) => isDrawn(row));
  let top = 0;
  const blocks = drawn.map((row) => {
    const { svg, bottom } = block(row, top);
    top = bottom + 8;
    return svg;
  });
  const rounds = median(drawn.map((row) => row.proxies["sluice"].ratio.rounds));
  const foot = `Ratios to nginx in the same round, medians of ${rounds}. Dashed: what sluice must reach.`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top + FOOT}" font-family="system-ui, sans-serif" font-size="13" role="img" aria-label="sluice beside other proxies">
<rect width="100%" height="100%" fill="#fff"/>
${blocks.join("\n")}
${text(0, top + 20, foot, 'fill="#6b7280"')}
</svg>
`;
}
