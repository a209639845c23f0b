import { isVariable } from "../../target.ts";
import { removeWord, setInLocation } from "../edits.ts";
import type { Fix } from "../finding.ts";
import { type Rule, streamRule } from "../rule.ts";
import type { View } from "../view.ts";
import { BUFFER } from "./buffering.ts";

const EVENT_STREAM = "text/event-stream";

/** Returns the compressor that applies to event streams: gzip, or a module that works like it. */
function compressor(view: View): string | undefined {
  if (view.family === "grpc") return undefined;
  return ["gzip", "brotli", "zstd"].find(
    (name) => view.setting(name).value === "on" && view.hasType(`${name}_types`, EVENT_STREAM),
  );
}

const compressedWhileBuffered = streamRule(
  "compressed-while-buffered",
  "D19",
  "Compression with buffering holds back all events until the stream ends.",
  (view, lint) => {
    const name = compressor(view);
    if (name === undefined || !view.isBuffered) return;
    const isReported = lint.reportStream(compressedWhileBuffered, view, {
      severity: view.severity("error", "warning", "info"),
      at: view.setting(`${name}_types`).directive ?? view.target.directive,
      message: `${name} with ${view.family}_buffering holds back all events until the stream ends`,
      cause: view.explain(view.own("buffering")),
      remedy: `${view.family}_buffering off; or remove ${EVENT_STREAM} from ${name}_types`,
      fix: setInLocation(view, `${view.family}_buffering`, "off"),
    });
    if (isReported) view.claim(BUFFER);
  },
);

const streamCompressed = streamRule(
  "stream-compressed",
  "D18 D21",
  "nginx compresses each event of a stream; no-transform does not prevent it.",
  (view, lint) => {
    const name = compressor(view);
    if (name === undefined || view.isBuffered) return;
    const types = view.setting(`${name}_types`);
    lint.reportStream(streamCompressed, view, {
      severity: view.severity("warning", "warning", "info"),
      at: types.directive ?? view.target.directive,
      message: `${name} compresses each event by itself, which costs CPU, and memory for every stream; no-transform does not prevent it`,
      cause: view.explain(types),
      remedy: `remove ${EVENT_STREAM} from ${name}_types, or ${name} off;`,
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

/** A filter that edits bodies: its directive, its list of types, and whether it is on. */
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
  "A pattern that begins with a line break holds back the end of each event.",
  (view, lint) => {
    if (!view.hasType("sub_filter_types", EVENT_STREAM)) return;
    const at = view.all("sub_filter").directives.find(({ args }) => /^[\r\n]/.test(args[0] ?? ""));
    if (at === undefined) return;
    const isReported = lint.reportStream(subFilterHolds, view, {
      severity: "error",
      at,
      message: "this pattern begins with a line break, so the end of each event waits for the next event",
      remedy: `begin the pattern with another character, or remove ${EVENT_STREAM} from sub_filter_types`,
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
        remedy: `remove ${EVENT_STREAM} from ${types}`,
      });
    }
  },
);

export const COMPRESSION_RULES: readonly Rule[] = [compressedWhileBuffered, streamCompressed];
export const FILTER_RULES: readonly Rule[] = [subFilterHolds, streamRewritten];
