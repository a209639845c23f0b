import type { SchemaName } from "../config/json-schema.ts";
import { suggestion } from "../config/nearest.ts";
import { type Command, EXIT, UsageError } from "./command.ts";
import { parseFlags } from "./flags.ts";

/** `sluice schema`: the JSON Schema of a configuration file, for editors. */
export const schema: Command = {
  help: `Usage: sluice schema [route|server|apps]

Prints the JSON Schema of routes/*.yaml (route, the default), sluice.yaml
(server) or apps.yaml (apps). Editors with a YAML language server use it if the
file starts with

  # yaml-language-server: $schema=PATH

The schema of sluice.yaml refers to route.json in the same directory.
`,
  async run(args) {
    const [name = "route"] = parseFlags(args, {}, 1).words;
    // Loaded only now: the help needs no schemas.
    const { publishedSchema, SCHEMAS } = await import("../config/json-schema.ts");
    const names = Object.keys(SCHEMAS);
    const isSchemaName = (text: string): text is SchemaName => Object.hasOwn(SCHEMAS, text);
    if (!isSchemaName(name)) {
      throw new UsageError(
        `unknown schema ${name}; expected ${names.join(" or ")}${suggestion(name, names)}`,
      );
    }
    process.stdout.write(`${JSON.stringify(publishedSchema(name), undefined, 2)}\n`);
    return EXIT.done;
  },
};
