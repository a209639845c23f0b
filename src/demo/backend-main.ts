import { startBackends } from "./backends.ts";

/** The sample backends alone, on HOST and PORT, for compose: nginx, sluice and they in a container each. */
const backends = await startBackends({
  host: process.env["HOST"] ?? "127.0.0.1",
  port: Number(process.env["PORT"] ?? 8080),
});
process.stdout.write(`sample backends on ${backends.url}\n`);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void backends.close());
