import { expect, test } from "vitest";
import packageFile from "../../package.json" with { type: "json" };
import { refusedPort } from "../support/backend.ts";
import { startGateway } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

test("a refusal names no backend, no version, no file and no stack", async () => {
  const port = await refusedPort();
  const gateway = await startGateway({
    routes: {
      down: { match: { path: "/down" }, upstream: `http://127.0.0.1:${port}` },
      private: { match: { path: "/private" }, mock: { status: 200 }, access: { allow: ["10.0.0.0/8"] } },
      get: { match: { path: "/get", methods: ["GET"] }, mock: { status: 200 } },
    },
  });
  for (const [path, status, method] of [
    ["/down", 502, "GET"],
    ["/private", 403, "GET"],
    ["/get", 405, "POST"],
    ["/nowhere", 404, "GET"],
    ["/a/../b", 400, "GET"],
  ] as const) {
    const client = openStream(gateway.port, { path, method, ...(method === "POST" && { body: "" }) });
    await client.ended();
    expect(client.head?.status).toBe(status);
    expect(Object.keys(JSON.parse(client.text) as object)).toEqual([
      "error_code",
      "error_msg",
      "request_id",
      "error",
    ]);
    const said = `${client.head?.raw}${client.text}`;
    expect(said).not.toMatch(new RegExp(`127\\.0\\.0\\.1:${port}|ECONN|node_modules|\\.ts|\\.js|    at `));
    expect(said).not.toContain(packageFile.version);
    expect([client.field("server"), client.field("x-powered-by")]).toEqual([undefined, undefined]);
  }
});
