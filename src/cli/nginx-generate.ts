import { type Command, DEFAULT_DIRECTORY } from "./command.ts";

import { parseFlags } from "./flags.ts";

/** `sluice nginx generate`: writes the nginx configuration that suits a configuration of sluice. */
export const nginxGenerate: Command = {
  help: `Usage: sluice nginx generate [--config DIR] [flags]

Prints a configuration of nginx for the http block: an upstream, and a server
for each host of the routes, with a comment for each line that says why it is
there. Nothing is sent anywhere.

  --config DIR      sluice's configuration (${DEFAULT_DIRECTORY})
  --listen ADDRESS  where nginx listens: PORT, HOST:PORT or unix:/PATH
                    (80, with --tls 443)
  --tls CERT,KEY    PEM files of nginx's certificate
  --http2           HTTP/2 for clients (on with --tls)
  --no-http2        HTTP/1.1 alone
  --server ADDRESS  where sluice is: HOST:PORT or unix:/PATH; may be repeated
                    (the addresses that sluice.yaml listens on)
  --edge            clients connect to this nginx (default)
  --behind CIDR     a balancer in front of this nginx; may be repeated
  --mode MODE       all: every path goes to sluice (default); routes: those of
                    the routes, so that others can be served beside them
  --nginx VERSION   the nginx it is for (that on the PATH, else 1.22)
  --out FILE        write a file; one that was not generated is left alone
  --check           run nginx -t and sluice nginx lint on it first

--listen and --server also take \${NAME}, for envsubst.

Exit codes: 0 done, 1 the check has found something, 2 wrong usage or
configuration, or no nginx for the check.
`,
  async run(args) {
    const flags = parseFlags(args, FLAGS);
    // Loaded only now: the help and a wrong flag need no schemas.
    const { runGenerate } = await import("./nginx-generate-run.ts");
    return runGenerate(flags);
  },
};

const FLAGS = {
  config: "one",
  listen: "one",
  tls: "one",
  http2: "none",
  "no-http2": "none",
  server: "many",
  edge: "none",
  behind: "many",
  mode: "one",
  nginx: "one",
  out: "one",
  check: "none",
} as const;
