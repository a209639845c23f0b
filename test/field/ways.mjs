import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, listening, stop } from "../bench/processes.mjs";

const CLI = new URL("../../dist/cli/main.js", import.meta.url).pathname;

/** 1.22 asks its upstream with HTTP/1.0, 1.30 with HTTP/1.1. Both buffer responses by default. */
export const NGINX = {
  "nginx 1.22": process.env.NGINX_PATH ?? "/usr/sbin/nginx",
  "nginx 1.30": `${process.env.NGINX_LAB}/bin/nginx-1.30`,
};

/** The nginx builds that are not on this machine. */
export const missingBuilds = () => Object.keys(NGINX).filter((name) => !existsSync(NGINX[name]));

/** A way through sluice must never be worse than the same way without it. */
export const WAYS = [
  { name: "direct" },
  { name: "sluice", without: "direct" },
  ...Object.keys(NGINX).flatMap((name) => [{ name }, { name: `${name}, sluice`, without: name }]),
];

/** The settings that are tried, in this order, if the defaults do not work. */
export const SETTINGS = [
  { name: "defaults" },
  { name: "contentTypes", route: { stream: { contentTypes: ["*"] } } },
  {
    name: "websocket",
    route: { websocket: true },
    location:
      "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;",
  },
];

/** Starts sluice and each nginx in front of a backend's port. Returns the URL of each way. */
export async function openWays(backend, { route = {}, location = "" }) {
  const directory = mkdtempSync(join(tmpdir(), "sluice-field-"));
  const children = [];
  const close = async () => {
    await Promise.all(children.map(stop));
    rmSync(directory, { recursive: true, force: true });
  };
  const start = async (command, args, port) => {
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"] });
    children.push(child);
    await listening(child, port);
  };
  try {
    const sluice = await freePort();
    await start(
      process.execPath,
      [CLI, "serve", "--config", sluiceFiles(directory, sluice, backend, route)],
      sluice,
    );
    const ports = { direct: backend, sluice };
    for (const [name, program] of Object.entries(NGINX)) {
      if (!existsSync(program)) continue;
      const sites = { [name]: [await freePort(), backend], [`${name}, sluice`]: [await freePort(), sluice] };
      const place = nginxFiles(directory, name, sites, location);
      await start(program, ["-p", place, "-c", "nginx.conf", "-e", "error.log"], sites[name][0]);
      for (const [site, [port]] of Object.entries(sites)) ports[site] = port;
    }
    const urls = Object.entries(ports).map(([name, port]) => [name, `http://127.0.0.1:${port}`]);
    return { urls: Object.fromEntries(urls), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** JSON is YAML too. */
function sluiceFiles(directory, port, backend, route) {
  const place = join(directory, "sluice");
  mkdirSync(join(place, "routes"), { recursive: true });
  const write = (name, value) => writeFileSync(join(place, name), JSON.stringify(value));
  write("sluice.yaml", { listen: `127.0.0.1:${port}`, admin: false });
  write("routes/main.yaml", { match: { path: "/*" }, upstream: `http://127.0.0.1:${backend}`, ...route });
  return place;
}

function nginxFiles(directory, name, sites, location) {
  const place = join(directory, name);
  mkdirSync(place);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const servers = Object.values(sites).map(
    ([port, upstream]) =>
      `server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${upstream}; ${location} } }`,
  );
  const text = [
    process.getuid?.() === 0 ? "user root;" : "",
    "daemon off; master_process off; pid nginx.pid; error_log error.log;",
    "events {}",
    "http { access_log off;",
    ...temporary.map((kind) => `${kind}_temp_path ${kind};`),
    ...servers,
    "}",
  ].join("\n");
  writeFileSync(join(place, "nginx.conf"), text);
  return place;
}
