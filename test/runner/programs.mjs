import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

/** Program, Debian package, what needs it, and what a machine without apt can set instead. */
const PROGRAMS = [
  { path: "/usr/sbin/nginx", name: "nginx-light", use: "nginx end to end", variable: "NGINX_PATH" },
  { path: "/usr/bin/chromium", name: "chromium", use: "browser tests", variable: "CHROMIUM_PATH" },
  { path: "/usr/bin/redis-server", name: "redis-server", use: "shared histories", variable: "REDIS_PATH" },
  { path: "/usr/sbin/haproxy", name: "haproxy", use: "PROXY protocol end to end", variable: "HAPROXY_PATH" },
  { path: "/usr/bin/caddy", name: "caddy", use: "probes end to end", variable: "CADDY_PATH" },
  {
    path: "/usr/sbin/lighttpd",
    name: "lighttpd",
    use: "fields as CGI reads them",
    variable: "LIGHTTPD_PATH",
  },
  {
    path: "/usr/bin/gunicorn",
    name: "gunicorn",
    use: "idle connections end to end",
    variable: "GUNICORN_PATH",
  },
  {
    path: "/usr/bin/prometheus",
    name: "prometheus",
    use: "metrics, alerts and the dashboard",
    variable: "PROMETHEUS_PATH",
  },
  { path: "/usr/bin/curl", name: "curl", use: "curl end to end", variable: undefined },
  {
    path: "/usr/bin/systemd-analyze",
    name: "systemd",
    use: "the sample of a systemd unit",
    variable: undefined,
  },
  { path: "/usr/bin/python3", name: "python3", use: "messages to systemd", variable: undefined },
];

const isThere = ({ path, variable }) => existsSync(process.env[variable] ?? path);

const apt = (...args) =>
  spawnSync("apt-get", args, {
    stdio: ["ignore", "inherit", "inherit"],
    // Runlevel 1: a package that brings a service must not start it.
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" },
  }).status === 0;

/** Installs what is missing where that is possible, and returns what is missing still. */
export function providePrograms() {
  const missing = PROGRAMS.filter((program) => !isThere(program));
  if (missing.length === 0) return [];
  const names = missing.map(({ name }) => name);
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return missing;
  console.log(`installing ${names.join(" ")} with apt`);
  apt("update", "-qq");
  apt("install", "-y", "-qq", "--no-install-recommends", ...names);
  return missing.filter((program) => !isThere(program));
}

/** Without the program its tests fail and say so; here is the same in one line, before a long run. */
export function reportMissing(missing) {
  for (const { name, use, variable } of missing) {
    const instead = variable === undefined ? "" : `, or set ${variable}`;
    console.log(`missing: ${name}, for ${use}: install it${instead}`);
  }
}
