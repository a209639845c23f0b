import { stringify } from "yaml";
import { visibleText } from "../../base/visible-text.ts";
import { formatNote, spell } from "./notes.ts";
import type { ImportedRoute } from "./routes.ts";

/** Returns the text of a route file, with the notes as comments. */
export function routeText({ route, from, notes }: ImportedRoute): string {
  const lines = [`from ${spell(from)}`, ...notes.map(formatNote)];
  const comments = lines.map((line) => `# nginx: ${visibleText(line).replaceAll("\n", " ")}\n`);
  return `${comments.join("")}${stringify(route, { lineWidth: 0 })}`;
}
