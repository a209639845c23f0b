import { normalizedMatch } from "../../config/conflicts.ts";
import type { RouteConfig } from "../../config/route-schema.ts";
import { percentDecoded } from "../../http/percent-encoding.ts";
import { GenerateFault } from "./fault.ts";
import { type Block, word } from "./text.ts";

export type Mode = "all" | "routes";

/** sluice's probe stream, which has no route file. */
const PROBE_PATH = "/.sluice/probe";

/** The input for the locations of one server. */
export interface LocationSetup {
  readonly mode: Mode;
  readonly routes: readonly RouteConfig[];
  readonly hasProbe: boolean;
  /** `http://sluice_servers`. */
  readonly target: string;
}

/** Returns the locations of one server. Throws GenerateFault for a path that a location cannot express. */
export function locationsOf({ mode, routes, hasProbe, target }: LocationSetup): Block[] {
  const pass = `proxy_pass ${target}`;
  if (mode === "all") {
    return [
      {
        opening: "location /",
        why: "sluice chooses the route. proxy_pass without a path forwards the client's path: %2F, // and the query stay as they are, and signatures over them stay valid. A location with its own proxy_set_header loses all of those above.",
        body: [{ text: pass }],
      },
    ];
  }
  const openings = new Set<string>();
  for (const { name, match } of routes) for (const opening of openingsOf(name, match)) openings.add(opening);
  if (hasProbe) openings.add(`location = ${PROBE_PATH}`);
  const blocks = [...openings].map((opening, at): Block => {
    return { opening, why: at === 0 ? WHY_ROUTES : undefined, body: [{ text: pass }] };
  });
  if (openings.has("location ^~ /")) return blocks;
  const rest: Block = {
    opening: "location /",
    why: "All other paths: serve your own pages here. Without this location nginx would look for files.",
    body: [{ text: "return 404" }],
  };
  return [...blocks, rest];
}

const WHY_ROUTES =
  "The paths of the routes. With ^~ no regular expression, such as one for static files, takes precedence. proxy_pass without a path forwards the client's path: %2F, // and the query stay as they are, and signatures over them stay valid.";

function openingsOf(name: string, match: RouteConfig["match"]): string[] {
  const { isPrefix, path } = normalizedMatch(match);
  const bare = word(decodedPath(name, path));
  if (!isPrefix) return [`location = ${bare}`];
  const below = word(`${decodedPath(name, path)}/`);
  // Without the exact location nginx would redirect the path to the slash, and clients turn a POST into a GET.
  return path === "" ? ["location ^~ /"] : [`location = ${bare}`, `location ^~ ${below}`];
}

/** Decodes a path, because nginx compares decoded paths. */
function decodedPath(name: string, path: string): string {
  const bytes = Buffer.from(percentDecoded(path), "latin1");
  const text = bytes.toString("utf8");
  if (Buffer.from(text, "utf8").equals(bytes)) return text;
  throw new GenerateFault(
    `the path of route ${name} is not valid UTF-8, so no location can express it; use --mode all`,
  );
}
