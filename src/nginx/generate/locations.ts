import { placeOf } from "../../config/conflicts.ts";
import type { RouteConfig } from "../../config/route-schema.ts";
import { percentDecoded } from "../../http/percent-encoding.ts";
import { GenerateFault } from "./fault.ts";
import { type Block, word } from "./text.ts";

export type Mode = "all" | "routes";

/** The probe of sluice, which has no route file. */
const PROBE_PATH = "/.sluice/probe";

/** What the locations of a server are made for. */
export interface LocationSetup {
  readonly mode: Mode;
  readonly routes: readonly RouteConfig[];
  readonly hasProbe: boolean;
  /** `http://sluice_servers`. */
  readonly target: string;
}

/** The locations of one server. Throws GenerateFault for a path that a location cannot spell. */
export function locationsOf({ mode, routes, hasProbe, target }: LocationSetup): Block[] {
  const pass = `proxy_pass ${target}`;
  if (mode === "all") {
    return [
      {
        opening: "location /",
        why: "sluice chooses the route. Without a path behind it, proxy_pass sends the client's own: %2F, // and the query stay as they are, and a signature over them stays good. A location that sets fields of its own loses all of those above.",
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
    why: "Everything else is not sluice's: put your own pages here. Without it nginx would look for files.",
    body: [{ text: "return 404" }],
  };
  return [...blocks, rest];
}

const WHY_ROUTES =
  "The paths of the routes. ^~ keeps regular expressions, such as those for static files, from taking them. Without a path behind it, proxy_pass sends the client's own: %2F, // and the query stay as they are, and a signature over them stays good.";

function openingsOf(name: string, match: RouteConfig["match"]): string[] {
  const { isPrefix, path } = placeOf(match);
  const bare = word(decodedPath(name, path));
  if (!isPrefix) return [`location = ${bare}`];
  const below = word(`${decodedPath(name, path)}/`);
  // The path itself would be answered with a redirect to the slash, after which a POST becomes a GET.
  return path === "" ? ["location ^~ /"] : [`location = ${bare}`, `location ^~ ${below}`];
}

/** nginx compares decoded paths. */
function decodedPath(name: string, path: string): string {
  const bytes = Buffer.from(percentDecoded(path), "latin1");
  const text = bytes.toString("utf8");
  if (Buffer.from(text, "utf8").equals(bytes)) return text;
  throw new GenerateFault(
    `the path of route ${name} has bytes that are no UTF-8, which a location cannot spell; use --mode all`,
  );
}
