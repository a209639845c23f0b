import type { Directive } from "../../directive.ts";
import { canRemove, removeDirective, removeWord, replaceWord, setInLocation, together } from "../edits.ts";
import type { Fix, Severity } from "../finding.ts";
import { type Rule, streamRule } from "../rule.ts";
import { isField, type View } from "../view.ts";

/** The subject of all findings about the buffer: their fix is the same, so one finding is enough. */
const BUFFER = "buffer";
const ACCEL = "X-Accel-Buffering";

const switchOff = (view: View): Fix => setInLocation(view, `${view.family}_buffering`, "off");
const remedyOff = (view: View): string => `${view.family}_buffering off;`;

/** Returns the effect of the buffer; it depends on the protocols on both sides (D1 to D6). */
function effectOfBuffer(view: View): string {
  if (!isFramed(view)) {
    return "nginx sends nothing, not even the head, until it has 4 kB or the stream ends";
  }
  if (view.listening?.hasTls) {
    return "over TLS and HTTP/1.1 nginx holds back events until it has 16 kB or the stream ends";
  }
  return "the head waits for the first event, and an event of 4 kB or more waits for the next event";
}

/** Whether the backend's protocol frames the response: chunks, HTTP/2 frames or FastCGI records. */
function isFramed(view: View): boolean {
  if (view.family === "proxy") return view.setting("proxy_http_version").value !== "1.0";
  return view.family === "fastcgi" && view.setting("fastcgi_keep_conn").value === "on";
}

/** Whether nginx forwards events of every size promptly although the buffer is on (D28, D30). */
function isPromptAllTheSame(view: View): boolean {
  if (view.setting("proxy_http_version").value === "2" && view.family === "proxy") return true;
  return view.family === "fastcgi" && isFramed(view) && view.listening?.hasTls !== true;
}

/** Returns the severity; over plain HTTP small events are prompt, so the stream is only fragile. */
function severityOfBuffer(view: View): Severity {
  const isFragile = isFramed(view) && view.listening !== undefined && !view.listening.hasTls;
  return view.severity(isFragile ? "warning" : "error", "warning", "info");
}

const accelHeaderIgnored = streamRule(
  "accel-header-ignored",
  "D10 D11",
  "nginx ignores X-Accel-Buffering while buffering is on.",
  (view, lint) => {
    if (!view.isBuffered || !view.ignoresAccelBuffering) return;
    const { directives, level } = view.all(`${view.family}_ignore_headers`);
    const at = directives.find(({ args }) => args.some((field) => isField(field, ACCEL)));
    if (at === undefined) return;
    const isReported = lint.reportStream(accelHeaderIgnored, view, {
      severity: "error",
      at,
      message: `nginx ignores ${ACCEL} here, and ${view.family}_buffering is on`,
      cause: view.explain(view.own("buffering")),
      remedy: `remove ${ACCEL} from the list`,
      fix: level === view.location ? withoutWord(at, ACCEL) : switchOff(view),
    });
    if (isReported) view.claim(BUFFER);
  },
);

function withoutWord(directive: Directive, word: string): Fix {
  const token = directive.words.find(({ value }) => isField(value, word));
  const isOnly = directive.words.length === 2;
  const edit = isOnly || token === undefined ? removeDirective(directive) : removeWord(token);
  return { edits: [edit], changes: [directive.name] };
}

const accelHeaderToTheClient = streamRule(
  "accel-header-to-the-client",
  "D12",
  "add_header sends X-Accel-Buffering to the client; this nginx does not read it.",
  (view, lint) => {
    const at = view.addedField(ACCEL);
    if (at === undefined || !isField(at.args[1], "no")) return;
    const isReported = lint.reportStream(accelHeaderToTheClient, view, {
      severity: view.isBuffered ? "error" : "info",
      at,
      message: `this tells the client, not this nginx${view.isBuffered ? ", which still buffers" : ""}`,
      cause: view.explain(view.own("buffering")),
      remedy: `${remedyOff(view)} and keep this line only if another nginx is in front`,
      fix: view.isBuffered ? switchOff(view) : undefined,
    });
    if (isReported) view.claim(BUFFER);
  },
);

const accelHeaderToTheBackend = streamRule(
  "accel-header-to-the-backend",
  "D13",
  "proxy_set_header sends X-Accel-Buffering to the backend, where it has no effect.",
  (view, lint) => {
    const at = view.requestField(ACCEL);
    if (at === undefined || view.family !== "proxy") return;
    const isReported = lint.reportStream(accelHeaderToTheBackend, view, {
      severity: view.isBuffered ? "error" : "info",
      at,
      message: `this tells the backend, not this nginx${view.isBuffered ? ", which still buffers" : ""}`,
      cause: view.explain(view.own("buffering")),
      remedy: `${remedyOff(view)} and remove this line`,
      fix: together(view.isBuffered ? switchOff(view) : undefined, withoutLine(at, view)),
    });
    if (isReported) view.claim(BUFFER);
  },
);

const withoutLine = (line: Directive, view: View): Fix | undefined =>
  canRemove(line, view.all(line.name).level)
    ? { edits: [removeDirective(line)], changes: [line.name] }
    : undefined;

const FOREIGN_BUFFERING = /^(proxy|fastcgi|uwsgi|scgi)_buffering$/;

const bufferingOfAnotherProtocol = streamRule(
  "buffering-of-another-protocol",
  "D27",
  "The buffering directive of another protocol has no effect.",
  (view, lint) => {
    if (!view.isBuffered) return;
    for (const at of view.location.directives) {
      const family = FOREIGN_BUFFERING.exec(at.name)?.[1];
      if (family === undefined || family === view.family || at.value !== "off") continue;
      if (hasPassOf(view, family)) continue;
      const [name] = at.words;
      const own = `${view.family}_buffering`;
      const isReported = lint.report(bufferingOfAnotherProtocol, {
        severity: "error",
        at,
        location: view.location,
        message: `${at.name} has no effect beside ${view.target.directive.name}`,
        cause: view.explain(view.own("buffering")),
        remedy: `${own} off;`,
        fix: name && { edits: [replaceWord(name, own)], changes: [at.name, own] },
      });
      if (isReported) view.claim(BUFFER);
    }
  },
);

/** Whether a block inside the location has the `…_pass` of that family. */
const hasPassOf = ({ location }: View, family: string): boolean =>
  location.levels.some((inner) => inner.own(`${family}_pass`).length > 0);

const BUFFER_SIZES = ["buffers", "buffer_size", "busy_buffers_size", "max_temp_file_size"];

const buffersTuned = streamRule(
  "buffers-tuned-instead-of-off",
  "D3 D16",
  "Buffer sizes only change how many bytes nginx holds back.",
  (view, lint) => {
    if (view.carries !== "declared" || !view.isBuffered || view.isClaimed(BUFFER)) return;
    const names = [...BUFFER_SIZES.map((name) => `${view.family}_${name}`), "output_buffers"];
    const at = names.map((name) => view.location.last(name)).find((found) => found !== undefined);
    if (at === undefined || isPromptAllTheSame(view)) return;
    const isReported = lint.reportStream(buffersTuned, view, {
      severity: severityOfBuffer(view),
      at,
      message: `${at.name} only changes how many bytes nginx holds back: ${effectOfBuffer(view)}`,
      cause: view.explain(view.own("buffering")),
      remedy: remedyOff(view),
      fix: switchOff(view),
    });
    if (isReported) view.claim(BUFFER);
  },
);

const responseBuffered = streamRule(
  "response-buffered",
  "D1 D2 D3 D4 D5 D6 D28",
  "nginx buffers the response and so holds back events.",
  (view, lint) => {
    if (!view.isBuffered || view.isClaimed(BUFFER) || isPromptAllTheSame(view)) return;
    const setting = view.own("buffering");
    lint.reportStream(responseBuffered, view, {
      severity: severityOfBuffer(view),
      at: ownOr(view, setting.directive),
      message: `${setting.name} is on${setting.directive ? "" : " (default)"}: ${effectOfBuffer(view)}`,
      cause: view.explain(setting),
      remedy: remedyOff(view),
      fix: switchOff(view),
    });
  },
);

/** Returns the directive if the location itself has it, else the location. */
export function ownOr(view: View, directive: Directive | undefined): Directive {
  const isOwn = directive !== undefined && view.location.directives.includes(directive);
  return isOwn ? directive : (view.location.directive ?? view.target.directive);
}

/** The specific rules: they claim the buffer, so that `response-buffered` does not report it again. */
export const BUFFERING_RULES: readonly Rule[] = [
  accelHeaderIgnored,
  accelHeaderToTheClient,
  accelHeaderToTheBackend,
  bufferingOfAnotherProtocol,
  buffersTuned,
];
/** Runs after all rules that may claim the buffer. */
export const GENERAL_BUFFERING_RULES: readonly Rule[] = [responseBuffered];
export { BUFFER };
