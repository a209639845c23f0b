import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * How each proxy is started. A file of proxies/ is its configuration, with {{name}} for the variable parts. Proxies
 * in Node get their port and the backend's as arguments; all get one core.
 */
const TEMPLATES = new URL("proxies/", import.meta.url).pathname;
const CLI = new URL("../../dist/cli/main.js", import.meta.url).pathname;
const NCHAN_MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so";

function writeConfig(template, place, name = template) {
  const text = readFileSync(join(TEMPLATES, template), "utf8");
  const path = join(place.directory, name);
  writeFileSync(
    path,
    text.replace(/\{\{(\w+)\}\}/g, (_, key) => String({ ...place, nchan: NCHAN_MODULE }[key])),
  );
  return path;
}

const script = (name) => (place) => ({
  command: process.execPath,
  args: [join(TEMPLATES, `${name}.mjs`), String(place.port), String(place.backend)],
});

const nginx = (template) => (place) => ({
  command: "/usr/sbin/nginx",
  args: ["-p", place.directory, "-e", join(place.directory, "start.log"), "-c", writeConfig(template, place)],
});

/** A separate admin port, so that two can run; a baseline may be older than the admin listener. */
const hasAdmin = (cli) =>
  Object.hasOwn(JSON.parse(execFileSync(process.execPath, [cli, "schema", "server"])).properties, "admin");

/** The usual command with its defaults: heartbeats, limits, log, admin with metrics. */
const sluice = (cli) => (own) => {
  // sluice watches this directory, so its output goes elsewhere: each line would wake the watcher.
  const place = { ...own, directory: join(own.directory, "config") };
  mkdirSync(join(place.directory, "routes"), { recursive: true });
  const server = writeConfig("sluice.yaml", place);
  if (hasAdmin(cli(place))) appendFileSync(server, "admin: 127.0.0.1:0\n");
  writeConfig("sluice-relay.yaml", place, "routes/relay.yaml");
  if (place.isShared) writeConfig("sluice-shared.yaml", place, "routes/shared.yaml");
  for (const [name, text] of Object.entries(place.files(place)))
    writeFileSync(join(place.directory, name), text);
  const flags = place.profile ? ["--cpu-prof", `--cpu-prof-dir=${place.profile}`] : [];
  return {
    command: process.execPath,
    args: [...flags, cli(place), "serve", "--config", place.directory],
  };
};

/**
 * Name -> place ({ port, backend, directory, slots, connections, isShared, files, profile, cli, baseline }) -> how
 * to start it.
 */
export const PROXIES = {
  /** No proxy: the latency without one, and the maximum of backend and load generator. */
  direct: undefined,
  /** No proxy either: the backend has the core of the proxy. The lowest possible cost of a write to each client. */
  writer: undefined,
  nginx: nginx("nginx.conf"),
  haproxy: (place) => ({
    command: "/usr/sbin/haproxy",
    args: ["-db", "-f", writeConfig("haproxy.cfg", place)],
  }),
  caddy: (place) => ({
    command: "/usr/bin/caddy",
    args: ["run", "--adapter", "caddyfile", "--config", writeConfig("Caddyfile", place)],
    env: { ...process.env, GOMAXPROCS: "1", HOME: place.directory },
  }),
  "http-proxy": script("http-proxy"),
  httpxy: script("httpxy"),
  "@fastify/http-proxy": script("fastify"),
  /** The lowest possible cost of a proxy in this runtime. */
  floor: script("floor"),
  sluice: sluice(({ cli }) => cli ?? CLI),
  baseline: sluice(({ baseline }) => baseline),
  nchan: nginx("nchan.conf"),
};

const SMALL = "-small";

/** The process with few streams, routes and so on, beside the one of that name, with many (growth.mjs). */
export const smallOf = (name) => (isSmall(name) ? name : `${name === "baseline" ? "sluice" : name}${SMALL}`);
export const isSmall = (name) => name.endsWith(SMALL);
export const proxyOf = (name) => (isSmall(name) ? name.slice(0, -SMALL.length) : name);
