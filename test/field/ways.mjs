import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, listening, stop } from "../bench/processes.mjs";
import { certificate, key } from "./tls.mjs";

const CLI = new URL("../../dist/cli/main.js", import.meta.url).pathname;

/**
 * Both buffer responses by default. 1.22 asks its upstream with HTTP/1.0. 1.30 asks with HTTP/1.1, and would forward each
 * chunk at once to plain HTTP, but not to TLS, which is what clients use.
 */
export const NGINX = {
  "nginx 1.22": { program: process.env.NGINX_PATH ?? "/usr/sbin/nginx", isTls: false },
  "nginx 1.30": { program: `${process.env.NGINX_LAB}/bin/nginx-1.30`, isTls: true },
};

/** The nginx builds that are not on this machine. */
export const missingBuilds = () => Object.keys(NGINX).filter((name) => !existsSync(NGINX[name].program));

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

/** Starts sluice and each nginx in front of a backend's port. Returns the URL of each way, and what ends them. */
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
    const urls = { direct: `http://127.0.0.1:${backend}`, sluice: `http://127.0.0.1:${sluice}` };
    for (const [name, { program, isTls }] of Object.entries(NGINX)) {
      const sites = { [name]: [await freePort(), backend], [`${name}, sluice`]: [await freePort(), sluice] };
      const place = nginxFiles(directory, name, sites, { location, isTls });
      await start(program, ["-p", place, "-c", "nginx.conf", "-e", "error.log"], sites[name][0]);
      for (const [site, [port]] of Object.entries(sites))
        urls[site] = `${isTls ? "https" : "http"}://127.0.0.1:${port}`;
    }
    return { urls, close };
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

function nginxFiles(directory, name, sites, { location, isTls }) {
  const place = join(directory, name);
  mkdirSync(place);
  writeFileSync(join(place, "certificate.pem"), certificate());
  writeFileSync(join(place, "key.pem"), key());
  const listen = isTls ? "ssl; ssl_certificate certificate.pem; ssl_certificate_key key.pem" : "";
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const servers = Object.values(sites).map(
    ([port, upstream]) =>
      `server { listen 127.0.0.1:${port} ${listen}; location / { proxy_pass http://127.0.0.1:${upstream}; ${location} } }`,
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
