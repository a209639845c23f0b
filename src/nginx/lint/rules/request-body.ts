import { chooseLocation, normalizePath } from "../../locations.ts";
import { parseSize } from "../../units.ts";
import { setInLocation, setRequestField, together } from "../edits.ts";
import { locationRule, type Rule, streamRule } from "../rule.ts";
import type { View } from "../view.ts";
import { ownOr } from "./buffering.ts";

/** The subject of all findings whose fix is HTTP/1.1 to the backend: one finding is enough. */
export const HTTP_VERSION = "proxy_http_version";

/** Paths that clients request by POST: prompts and messages. */
const POSTED = /\b(?:completions|chat|messages|responses|mcp)\b/i;
const LARGE_BODY = 8 * 1024 * 1024;
const DEFAULT_BODY = 1024 * 1024;

const takesPosts = (view: View): boolean => POSTED.test(view.location.pattern);

const requestBuffered = streamRule(
  "request-buffered",
  "D31",
  "The backend gets a request body only when nginx has its last byte.",
  (view, lint) => {
    const setting = view.own("request_buffering");
    if (!view.isStream || setting.value !== "on" || setting.isUncertain) return;
    const limit = view.setting("client_max_body_size");
    const bytes = parseSize(limit.value);
    const isLarge = limit.directive !== undefined && (bytes === 0 || (bytes ?? 0) >= LARGE_BODY);
    const takesUploads = isLarge && (view.sluice !== undefined || takesPosts(view));
    if (!takesUploads && setting.level !== view.location) return;
    lint.reportStream(requestBuffered, view, {
      severity: "info",
      at: ownOr(view, setting.directive),
      message: "the backend gets an upload only when nginx has its last byte",
      cause: view.explain(setting),
      remedy: `${setting.name} off;`,
    });
  },
);

const unbufferedRequestNeeds11 = locationRule(
  "unbuffered-request-needs-1.1",
  "D32",
  "Over HTTP/1.0 nginx buffers a chunked body although request buffering is off.",
  (view, lint) => {
    const setting = view.setting("proxy_request_buffering");
    const version = view.setting("proxy_http_version");
    if (view.family !== "proxy" || setting.value !== "off" || version.value !== "1.0") return;
    if (setting.directive === undefined || version.isUncertain) return;
    const isReported = lint.report(unbufferedRequestNeeds11, {
      severity: "warning",
      at: setting.directive,
      location: view.location,
      message: "over HTTP/1.0 nginx still buffers a whole chunked body",
      cause: view.explain(version),
      remedy: "proxy_http_version 1.1;",
      fix: setInLocation(view, "proxy_http_version", "1.1"),
    });
    if (isReported) view.claim(HTTP_VERSION);
  },
);

const authRequestWaits = locationRule(
  "auth-request-waits-for-a-body",
  "D34",
  "A POST hangs in auth_request.",
  (view, lint) => {
    const request = view.setting("auth_request");
    if (request.directive === undefined || request.value === "off" || view.server === undefined) return;
    const location = chooseLocation(view.server, normalizePath(request.value))?.location;
    const auth = lint.viewOf(location);
    if (auth?.family !== "proxy") return;
    const hasBody = auth.setting("proxy_pass_request_body").value !== "off";
    const length = auth.requestField("Content-Length");
    const isCleared = length?.arg(1) === "";
    if ((!hasBody && isCleared) || auth.all("proxy_set_header").isUncertain) return;
    if (auth.setting("proxy_pass_request_headers").value === "off") return;
    const lines = [
      ...(hasBody ? ["proxy_pass_request_body off;"] : []),
      ...(isCleared ? [] : ['proxy_set_header Content-Length "";']),
    ];
    lint.report(authRequestWaits, {
      severity: "warning",
      at: auth.target.directive,
      location: auth.location,
      message: `the backend of auth_request in ${view.location.label} waits for a body that nginx does not send, so a POST hangs`,
      remedy: lines.join(" "),
      fix: together(
        hasBody ? setInLocation(auth, "proxy_pass_request_body", "off") : undefined,
        isCleared ? undefined : setRequestField(auth, "Content-Length", '""'),
      ),
    });
  },
);

const streamMirrored = streamRule(
  "stream-mirrored",
  "D35",
  "nginx requests each stream twice.",
  (view, lint) => {
    const mirror = view.setting("mirror");
    if (mirror.directive === undefined || mirror.value === "off" || !view.isStream) return;
    lint.reportStream(streamMirrored, view, {
      severity: "warning",
      at: mirror.directive,
      message: "nginx requests each stream a second time and discards that response",
      cause: view.explain(mirror),
      remedy: "mirror off;",
    });
  },
);

const bodyLimit = streamRule(
  "body-limit",
  "R10 H12",
  "A longer request body gets nginx's own 413, without CORS fields.",
  (view, lint) => {
    const limit = view.setting("client_max_body_size");
    const bytes = parseSize(limit.value) ?? 0;
    if (bytes === 0 || bytes > DEFAULT_BODY || limit.isUncertain) return;
    if (view.sluice === undefined && (view.carries !== "declared" || !takesPosts(view))) return;
    lint.reportStream(bodyLimit, view, {
      severity: view.sluice === undefined ? "info" : "warning",
      at: limit.directive ?? view.location.directive ?? view.target.directive,
      message: `a request body over ${limit.value} gets nginx's own 413, which a page of another origin cannot read`,
      cause: view.explain(limit),
      remedy: "client_max_body_size 0;",
      fix: setInLocation(view, "client_max_body_size", "0"),
    });
  },
);

export const REQUEST_BODY_RULES: readonly Rule[] = [
  requestBuffered,
  unbufferedRequestNeeds11,
  authRequestWaits,
  streamMirrored,
  bodyLimit,
];
