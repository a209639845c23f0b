import type { Directive } from "../../directive.ts";
import { chooseLocation, normalizePath } from "../../locations.ts";
import { FAMILIES, findTarget } from "../../target.ts";
import { replaceWord, setInLocation } from "../edits.ts";
import { type Rule, streamRule } from "../rule.ts";
import type { View } from "../view.ts";

/** The statuses that nginx itself sends in front of a backend. */
const OWN_STATUSES: ReadonlySet<string> = new Set(["413", "429", "500", "502", "503", "504"]);

/** Whether an error_page also replaces the backend's errors; by default only nginx's own. */
const intercepts = (view: View): boolean => view.own("intercept_errors").value === "on";

const errorsReplaced = streamRule(
  "errors-replaced",
  "H10",
  "The backend's errors lose their body, CORS fields and Retry-After.",
  (view, lint) => {
    const setting = view.own("intercept_errors");
    // A named location forwards to another backend; it is not a page.
    const pages = view.all("error_page").directives.filter(({ args }) => !args.at(-1)?.startsWith("@"));
    if (!intercepts(view) || setting.directive === undefined || pages.length === 0) return;
    if (view.isClaimed("error_page")) return;
    const codes = pages.flatMap(({ args }) => args.filter((arg) => /^\d{3}$/.test(arg)));
    lint.reportStream(errorsReplaced, view, {
      severity: "warning",
      at: setting.directive,
      message: `the backend's ${codes.join(", ")} responses lose their body, CORS fields and Retry-After`,
      cause: view.explain(setting),
      remedy: `${setting.name} off;`,
      fix: setInLocation(view, setting.name, "off"),
    });
  },
);

const errorBecomes200 = streamRule(
  "error-becomes-200",
  "H11",
  "nginx answers a failure with 200 and a page.",
  (view, lint) => {
    const at = view.all("error_page").directives.find((page) => becomes200(page, view));
    if (at === undefined) return;
    const word = at.words.find(({ value }) => value.startsWith("="));
    const isReported = lint.reportStream(errorBecomes200, view, {
      severity: "error",
      at,
      message: "nginx answers a failure with 200 and a page, so an EventSource gives up for good",
      remedy: "keep the status: use error_page without =",
      fix: word && { edits: [{ ...replaceWord(word, ""), to: word.end + 1 }], changes: ["error_page"] },
    });
    if (isReported) view.claim("error_page");
  },
);

function becomes200(page: Directive, view: View): boolean {
  const { args } = page;
  const answer = args.find((arg) => arg.startsWith("="));
  const target = args.at(-1) ?? "";
  const isOwn = args.some((arg) => OWN_STATUSES.has(arg)) || intercepts(view);
  if (!isOwn || !target.startsWith("/")) return false;
  if (answer === "=200") return true;
  return answer === "=" && isPage(view, target);
}

/** Whether nginx answers a path from a file with 200, not from a backend or a `return` with another status. */
function isPage(view: View, path: string): boolean {
  if (view.server === undefined) return false;
  const location = chooseLocation(view.server, normalizePath(path))?.location;
  if (location === undefined) return true;
  const hasPass = FAMILIES.some((family) => location.own(`${family}_pass`).length > 0);
  return (
    !hasPass && location.own("return").length === 0 && findTarget(location, view.configuration) === undefined
  );
}

export const ERROR_RULES: readonly Rule[] = [errorBecomes200, errorsReplaced];
