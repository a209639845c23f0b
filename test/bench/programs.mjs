import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

/** The programs and modules, with their Debian packages. */
const PROGRAMS = [
  { path: "/usr/bin/gcc", name: "gcc" },
  { path: "/usr/include/stdio.h", name: "libc6-dev" },
  { path: "/usr/sbin/nginx", name: "nginx-light" },
  { path: "/usr/lib/nginx/modules/ngx_nchan_module.so", name: "libnginx-mod-nchan" },
  { path: "/usr/sbin/haproxy", name: "haproxy" },
  { path: "/usr/bin/caddy", name: "caddy" },
];
const NATIVE = new URL("native/", import.meta.url).pathname;

const missing = () => PROGRAMS.filter(({ path }) => !existsSync(path)).map(({ name }) => name);

/** Installs missing programs if possible; throws if any is still missing. */
export function providePrograms() {
  if (missing().length === 0) return;
  // Runlevel 1, so that packages do not start their services.
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const stdio = ["ignore", "inherit", "inherit"];
  if (process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
    spawnSync("apt-get", ["update", "-qq"], { stdio, env });
    spawnSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing()], { stdio, env });
  }
  if (missing().length > 0) throw new Error(`the benchmark needs ${missing().join(", ")}: install them`);
}

function compile(name, directory, ...libraries) {
  const output = join(directory, name);
  const args = ["-O2", "-Wall", "-Wextra", "-o", output, join(NATIVE, `${name}.c`), ...libraries];
  if (spawnSync("cc", args, { stdio: "inherit" }).status !== 0) throw new Error(`cannot compile ${name}.c`);
  return output;
}

/** Compiles the programs in native/ into the directory, and returns their paths. */
export const compilePrograms = (directory) => ({
  backend: compile("backend", directory, "-lm"),
  load: compile("load", directory),
  onCore: compile("on-core", directory),
});
