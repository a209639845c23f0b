const SECONDS_PER: Readonly<Record<string, number>> = {
  y: 31_536_000,
  M: 2_592_000,
  w: 604_800,
  d: 86_400,
  h: 3600,
  m: 60,
  s: 1,
  "": 1,
};

/** Returns the milliseconds of nginx's `90`, `75s`, `1h30m`, `500ms` or `"1d 2h"`; undefined if invalid. */
export function parseTime(text: string): number | undefined {
  if (!/^\s*\d/.test(text) || text.length > 64) return undefined;
  let ms = 0;
  let at = 0;
  for (const [part, digits = "", unit = ""] of text.matchAll(/\s*(\d{1,15})(ms|[yMwdhms]?)/gy)) {
    at += part.length;
    ms += unit === "ms" ? Number(digits) : Number(digits) * (SECONDS_PER[unit] ?? 1) * 1000;
  }
  return text.slice(at).trim() === "" ? ms : undefined;
}

/** Returns the bytes of nginx's `512`, `8k`, `1m` or `1g`; undefined if invalid. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,15})([kKmMgG]?)$/.exec(text);
  if (match === null) return undefined;
  const power = { "": 0, k: 1, m: 2, g: 3 }[(match[2] ?? "").toLowerCase()] ?? 0;
  return Number(match[1]) * 1024 ** power;
}

/** Formats milliseconds in nginx's units: `75s`, `1h`, `1500ms`. */
export function formatTime(ms: number): string {
  if (ms % 1000 !== 0) return `${ms}ms`;
  if (ms === 0) return "0";
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  return ms % 60_000 === 0 && ms >= 600_000 ? `${ms / 60_000}m` : `${ms / 1000}s`;
}

/** Formats milliseconds for a route file: `1d`, `75s`, `1500ms`. */
export function formatDuration(ms: number): string {
  for (const [unit, size] of [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1000],
  ] as const) {
    if (ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}
