const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Returns a number such as 1,234, or from a hundred thousand on such as 123.4K, to fit a column. */
export function count(value) {
  if (value === undefined || value === null) return "–";
  return value < 100_000 ? WHOLE.format(value) : SHORT.format(value);
}

/** Like `count`, with a decimal below 10. */
export function rate(value) {
  if (value === undefined || value === null) return "–";
  return value < 9.95 ? String(Math.round(value * 10) / 10) : count(value);
}

export function bytes(value) {
  let rest = value;
  let unit = 0;
  while (rest >= 1000 && unit < UNITS.length - 1) {
    rest /= 1000;
    unit++;
  }
  return `${unit === 0 || rest >= 100 ? Math.round(rest) : rest.toFixed(1)} ${UNITS[unit]}`;
}

/** Returns a duration in its two largest units: 45 s, 3 m 05 s, 2 h 10 m, 3 d 4 h. */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${String(seconds % 60).padStart(2, "0")} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${String(minutes % 60).padStart(2, "0")} m`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Returns a delay: 12 ms, 1.2 s, 45 s, 3 m 05 s. */
export function delay(ms) {
  if (ms === undefined || ms === null) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 9950 ? `${(ms / 1000).toFixed(1)} s` : duration(ms);
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

export const clock = (at) => CLOCK.format(at);

/** Returns a time, with its day unless that is today. */
export function moment(at) {
  const isToday = new Date(at).toDateString() === new Date().toDateString();
  return isToday ? clock(at) : `${DAY.format(at)} ${clock(at)}`;
}
