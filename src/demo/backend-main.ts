import { startBackends } from "./backends.ts";

/** Runs only the sample backends, on HOST and PORT, for compose, where nginx, sluice and the backends have a container each. */
const backends = await startBackends({
  host: process.env["HOST"] ?? "127.0.0.1",
  port: Number(process.env["PORT"] ?? 8080),
});
process.stdout.write(`sample backends on ${backends.url}\n`);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void backends.close());
