import { insertBefore, setRequestFields, together } from "./edits.ts";
import type { Fix } from "./finding.ts";
import type { View } from "./view.ts";

const VARIABLE = "$connection_upgrade";

/** The remedy in words: a map that derives the Connection field from the client's Upgrade. */
export const CONNECTION_MAP = `map $http_upgrade ${VARIABLE} { default upgrade; '' ''; } and Connection ${VARIABLE}`;

/** Sets the fields, and Connection from the map; adds the map before the server if it is missing. */
export function setConnectionByMap(view: View, fields: Readonly<Record<string, string>>): Fix | undefined {
  const known = mapOfUpgrade(view);
  const { server } = view;
  if (known === undefined && (server?.directive === undefined || server.outer?.kind !== "http"))
    return undefined;
  const all = { ...fields, Connection: known ?? VARIABLE };
  const map = `map $http_upgrade ${VARIABLE} {\n    default upgrade;\n    '' '';\n}\n`;
  const added =
    known === undefined && server?.directive !== undefined
      ? { edits: [insertBefore(server.directive, map)], changes: ["map"] }
      : undefined;
  return together(added, setRequestFields(view, all));
}

/** Returns the variable of the first map from `$http_upgrade`; undefined without such a map. */
function mapOfUpgrade({ configuration }: View): string | undefined {
  for (const http of configuration.main.levels) {
    const map = http.own("map").find(({ args }) => args[0] === "$http_upgrade");
    if (map !== undefined) return map.args[1];
  }
  return undefined;
}
