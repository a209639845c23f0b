import { isVariable } from "../../target.ts";
import { removeWord, setInLocation } from "../edits.ts";
import type { Fix } from "../finding.ts";
import { type Rule, streamRule } from "../rule.ts";
import type { View } from "../view.ts";
import { BUFFER } from "./buffering.ts";

const EVENT_STREAM = "text/event-stream";

/** The compressor that takes event streams: nginx's own, or one of the modules that work as it does. */
function compressor(view: View): string | undefined {
  if (view.family === "grpc") return undefined;
  return ["gzip", "brotli", "zstd"].find(
    (name) => view.setting(name).value === "on" && view.hasType(`${name}_types`, EVENT_STREAM),
  );
}

const compressedWhileBuffered = streamRule(
  "compressed-while-buffered",
  "D19",
  "Compression and buffering together hold all events to the end.",
  (view, lint) => {
    const name = compressor(view);
    if (name === undefined || !view.isBuffered) return;
    const isReported = lint.reportStream(compressedWhileBuffered, view, {
      severity: view.severity("error", "warning", "info"),
      at: view.setting(`${name}_types`).directive ?? view.target.directive,
      message: `${name} and ${view.family}_buffering together hold all events to the end of the stream`,
      cause: view.explain(view.own("buffering")),
      remedy: `${view.family}_buffering off; or leave ${EVENT_STREAM} out of ${name}_types`,
      fix: setInLocation(view, `${view.family}_buffering`, "off"),
    });
    if (isReported) view.claim(BUFFER);
  },
);

const streamCompressed = streamRule(
  "stream-compressed",
  "D18 D21",
  "Streams are compressed, event by event; no-transform does not prevent it.",
  (view, lint) => {
    const name = compressor(view);
    if (name === undefined || view.isBuffered) return;
    const types = view.setting(`${name}_types`);
    lint.reportStream(streamCompressed, view, {
      severity: view.severity("warning", "warning", "info"),
      at: types.directive ?? view.target.directive,
      message: `${name} compresses each event by itself: CPU and a compressor's memory for every stream; no-transform does not prevent it`,
      cause: view.explain(types),
      remedy: `leave ${EVENT_STREAM} out of ${name}_types, or ${name} off;`,
      fix: withoutType(view, name),
    });
  },
);

function withoutType(view: View, name: string): Fix {
  const words = view.setting(`${name}_types`).directive?.words ?? [];
  const word = words.find(({ value }) => value.toLowerCase() === EVENT_STREAM);
  const isListed = word !== undefined && words.length > 2 && !words.some(({ value }) => value === "*");
  if (isListed) return { edits: [removeWord(word)], changes: [`${name}_types`] };
  return setInLocation(view, name, "off");
}

/** A filter that edits bodies: whether it is on, the directive that says so, and its list of types. */
interface Rewriter {
  readonly name: string;
  readonly types: string;
  isOn(view: View): boolean;
}

const REWRITERS: readonly Rewriter[] = [
  {
    name: "sub_filter",
    types: "sub_filter_types",
    isOn: (view) => view.all("sub_filter").directives.length > 0,
  },
  { name: "ssi", types: "ssi_types", isOn: (view) => view.setting("ssi").value === "on" },
  {
    name: "add_before_body",
    types: "addition_types",
    isOn: (view) => view.setting("add_before_body").value !== "",
  },
  {
    name: "add_after_body",
    types: "addition_types",
    isOn: (view) => view.setting("add_after_body").value !== "",
  },
  {
    name: "charset",
    types: "charset_types",
    isOn: (view) =>
      isCharset(view.setting("charset").value) && isCharset(view.setting("source_charset").value),
  },
];

const isCharset = (value: string): boolean => value !== "" && value !== "off" && !isVariable(value);

const subFilterHolds = streamRule(
  "sub-filter-holds",
  "D24",
  "A pattern that begins with a line break holds the end of each event.",
  (view, lint) => {
    if (!view.hasType("sub_filter_types", EVENT_STREAM)) return;
    const at = view.all("sub_filter").directives.find(({ args }) => /^[\r\n]/.test(args[0] ?? ""));
    if (at === undefined) return;
    const isReported = lint.reportStream(subFilterHolds, view, {
      severity: "error",
      at,
      message: "this pattern begins with a line break, so the end of each event is held until the next one",
      remedy: `a pattern that begins otherwise, or leave ${EVENT_STREAM} out of sub_filter_types`,
    });
    if (isReported) view.claim("sub_filter");
  },
);

const streamRewritten = streamRule(
  "stream-rewritten",
  "D23",
  "A filter edits the bytes of events.",
  (view, lint) => {
    for (const { name, types, isOn } of REWRITERS) {
      if (view.isClaimed(name) || !isOn(view) || !view.hasType(types, EVENT_STREAM)) continue;
      const setting = view.setting(types);
      lint.reportStream(streamRewritten, view, {
        severity: "warning",
        at: setting.directive ?? view.target.directive,
        message: `${name} edits the events of streams`,
        cause: view.explain(setting),
        remedy: `leave ${EVENT_STREAM} out of ${types}`,
      });
    }
  },
);

export const COMPRESSION_RULES: readonly Rule[] = [compressedWhileBuffered, streamCompressed];
export const FILTER_RULES: readonly Rule[] = [subFilterHolds, streamRewritten];
