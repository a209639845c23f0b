/** nginx's spellings of time and size: `250ms`, `15s`, `10m`, `2h`, `1d`; `512`, `64k`, `8m`, `1g`. */

const MS_PER = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const BYTES_PER = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 } as const;

/** The longest duration, about 24.8 days: Node's timers turn a longer delay into 1 ms. */
export const MAX_DURATION_MS = 2 ** 31 - 1;

export const DURATION_PATTERN = "^[0-9]{1,12}(ms|s|m|h|d)$";
export const SIZE_PATTERN = "^[0-9]{1,15}[kKmMgG]?$";

/** Returns a duration such as `15s` in ms; undefined if the text is no duration or is over `MAX_DURATION_MS`. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text);
  if (match === null) return undefined;
  const ms = Number(match[1]) * MS_PER[match[2] as keyof typeof MS_PER];
  return ms <= MAX_DURATION_MS ? ms : undefined;
}

/** Returns a size such as `64k` in bytes; undefined if the text is no size or the number is not a safe integer. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,15})([kmg]?)$/.exec(text.toLowerCase());
  if (match === null) return undefined;
  const bytes = Number(match[1]) * BYTES_PER[match[2] as keyof typeof BYTES_PER];
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
