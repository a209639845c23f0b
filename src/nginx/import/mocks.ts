import type { RouteInput } from "../../config/route-schema.ts";
import type { Directive } from "../directive.ts";
import { NotImported } from "./notes.ts";
import { hasVariable, type Scope } from "./scope.ts";

type Mock = NonNullable<RouteInput["mock"]>;

/** Returns the mock of `return 200 "ok"`. Throws NotImported for redirects and bodies with variables. */
export function mockOf(scope: Scope, at: Directive): Mock {
  const [code = "", text = ""] = at.args;
  const status = Number(code);
  if (!(status >= 200 && status <= 599) || (status >= 300 && status < 400) || status === 444) {
    throw new NotImported(at, "a route cannot redirect; leave it to nginx");
  }
  if (hasVariable(text)) throw new NotImported(at, "the body contains variables; write mock by hand");
  const type = scope.set("default_type")?.value ?? "text/plain";
  return {
    ...(status !== 200 && { status }),
    ...(text !== "" && { headers: { "Content-Type": type }, body: text }),
  };
}
