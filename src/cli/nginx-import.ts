import { type Command, DEFAULT_DIRECTORY } from "./command.ts";

import { parseFlags } from "./flags.ts";

/** `sluice nginx import`: makes route files from the locations of an nginx configuration. */
export const nginxImport: Command = {
  help: `Usage: sluice nginx import FILE [flags]

Makes a route file from each location of nginx that proxies or has a fixed
response. A setting that a route cannot express becomes a comment in its file
and a note on standard error. The routes are validated as serve does before any
file is written. FILE is nginx.conf, a part of it, a directory, or - for the
output of nginx -T.

  --server NAME  only servers with this server_name
  --out DIR      the configuration directory to add routes to (${DEFAULT_DIRECTORY})
  --dry-run      print the files and write nothing
  --force        replace route files of the same name

A location protected by auth_basic, auth_request or the like becomes a route
that refuses all requests until you set its auth or access.

Exit codes: 0 success, 2 wrong usage, or nothing could be imported.
`,
  async run(args) {
    const flags = parseFlags(args, FLAGS, 1);
    // Loaded only now: the help and a wrong flag need no schemas.
    const { runImport } = await import("./nginx-import-run.ts");
    return runImport(flags);
  },
};

const FLAGS = { server: "one", out: "one", "dry-run": "none", force: "none" } as const;
