import { type Command, DEFAULT_DIRECTORY } from "./command.ts";

import { parseFlags } from "./flags.ts";

/** `sluice nginx generate`: writes the nginx configuration that fits a configuration of sluice. */
export const nginxGenerate: Command = {
  help: `Usage: sluice nginx generate [--config DIR] [flags]

Prints nginx configuration for the http block: an upstream, and a server for
each host of the routes. A comment explains each line. Nothing is sent
anywhere.

  --config DIR      sluice's configuration (${DEFAULT_DIRECTORY})
  --listen ADDRESS  where nginx listens: PORT, HOST:PORT or unix:/PATH
                    (80, with --tls 443)
  --tls CERT,KEY    PEM files of nginx's certificate
  --http2           HTTP/2 for clients (default with --tls)
  --no-http2        only HTTP/1.1
  --server ADDRESS  where sluice listens: HOST:PORT or unix:/PATH; may be
                    repeated (the addresses of listen in sluice.yaml)
  --edge            clients connect directly to this nginx (default)
  --behind CIDR     a balancer in front of this nginx; may be repeated
  --mode MODE       all: forward every path to sluice (default); routes: only
                    the paths of routes, so that nginx can serve others
  --nginx VERSION   the version of nginx (that on the PATH, else 1.22)
  --out FILE        write to a file; replaces only generated files
  --check           run nginx -t and sluice nginx lint on it first

--listen and --server also accept \${NAME}, for envsubst.

Exit codes: 0 success, 1 the check has findings, 2 wrong usage or
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
