import { parseTime } from "../../units.ts";
import { setAll, setInLocation } from "../edits.ts";
import { type Rule, streamRule } from "../rule.ts";
import type { View } from "../view.ts";
import { BUFFER } from "./buffering.ts";

/** Whether nginx caches streams: only buffered responses; not with `proxy_no_cache 1` and `proxy_cache_bypass 1`. */
function cachesStreams(view: View): boolean {
  const cache = view.own("cache");
  if (cache.directive === undefined || cache.value === "off" || !view.isBuffered) return false;
  const isConstant = (suffix: string) => view.own(suffix).args.some((arg) => /^[1-9]/.test(arg));
  return !(isConstant("no_cache") && isConstant("cache_bypass"));
}

const noCache = (view: View) =>
  setAll(view, { [`${view.family}_cache`]: "off", [`${view.family}_buffering`]: "off" });

const cacheLockHolds = streamRule(
  "cache-lock-holds",
  "K4",
  "A second client waits for the end of the first client's stream.",
  (view, lint) => {
    const lock = view.own("cache_lock");
    if (!cachesStreams(view) || lock.value !== "on" || lock.directive === undefined) return;
    const isReported = lint.reportStream(cacheLockHolds, view, {
      severity: view.severity("error", "error", "info"),
      at: lock.directive,
      message: "a second client waits up to 5 s for the end of the first client's stream",
      cause: view.explain(lock),
      remedy: `${view.family}_cache off; for streams`,
      fix: noCache(view),
    });
    if (!isReported) return;
    view.claim("cache");
    view.claim(BUFFER);
  },
);

const streamCached = streamRule(
  "stream-cached",
  "K1 C13 K5",
  "nginx may store and replay a stream, and reads it to the end without a client.",
  (view, lint) => {
    const cache = view.own("cache");
    if (!cachesStreams(view) || cache.directive === undefined || view.isClaimed("cache")) return;
    const isReported = lint.reportStream(streamCached, view, {
      severity: view.severity("error", "warning", "info"),
      at: cache.directive,
      message:
        "nginx may store a stream and replay it to the next client, and reads it to the end after its client has disconnected",
      cause: view.explain(cache),
      remedy: `${view.family}_cache off; ${view.family}_buffering off;`,
      fix: noCache(view),
    });
    if (isReported) view.claim(BUFFER);
  },
);

const streamStored = streamRule(
  "stream-stored",
  "C13",
  "nginx writes a stream to disk, and reads it to the end without a client.",
  (view, lint) => {
    const store = view.own("store");
    if (store.directive === undefined || store.value === "off" || !view.isBuffered) return;
    const isReported = lint.reportStream(streamStored, view, {
      severity: "warning",
      at: store.directive,
      message: "nginx writes a stream to disk, and reads it to the end after its client has disconnected",
      cause: view.explain(store),
      remedy: `${store.name} off; ${view.family}_buffering off;`,
      fix: setAll(view, { [store.name]: "off", [`${view.family}_buffering`]: "off" }),
    });
    if (isReported) view.claim(BUFFER);
  },
);

const expiresOverrides = streamRule(
  "expires-overrides",
  "K6",
  "max-age replaces the backend's no-cache.",
  (view, lint) => {
    const expires = view.setting("expires");
    if (expires.directive === undefined || !isLasting(expires.args)) return;
    lint.reportStream(expiresOverrides, view, {
      severity: view.severity("warning", "info", "info"),
      at: expires.directive,
      message: "max-age replaces the backend's Cache-Control: no-cache",
      cause: view.explain(expires),
      remedy: "expires off;",
      fix: setInLocation(view, "expires", "off"),
    });
  },
);

/** Whether a time is positive: `30d`, `modified +24h`, `max`; not `off`, `epoch`, 0, negative or a variable. */
function isLasting(args: readonly string[]): boolean {
  const last = args.at(-1) ?? "";
  if (last === "max") return true;
  return (parseTime(last.replace(/^\+/, "")) ?? 0) > 0;
}

export const CACHING_RULES: readonly Rule[] = [cacheLockHolds, streamCached, streamStored, expiresOverrides];
