import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

// Response splitting: if a backend is tricked into two responses, no other client may get the second.
for (const [name, wait] of [
  ["in the same write", 0],
  ["while the connection is idle", 30],
] as const) {
  test(`a second response ${name} is never given to another request`, async () => {
    const backend = await startBackend((request) => {
      const good = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
      if (wait === 0) return request.send(good + evil);
      request.send(good);
      setTimeout(() => request.send(evil), wait);
    });
    const gateway = await startGatewayTo(backend.url);
    for (let n = 0; n < 5; n++) {
      const client = openStream(gateway.port, { path: `/${n}` });
      expect(await client.ended()).toBe("clean");
      expect(client.text).toBe("good");
      if (wait > 0) await backend.connections.at(-1)?.closed;
    }
    await eventually(() => backend.openConnections === 0, "the close of the tainted connections");
    expect(backend.connections.map(({ requests }) => requests.length)).toEqual([1, 1, 1, 1, 1]);
  });
}

test("bytes after the end of a stream are neither relayed nor kept", async () => {
  const backend = await startBackend((request) => {
    request.openStream();
    request.emit("data: 1\n\n");
    request.send(`0\r\n\r\n${evil}`);
  });
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port);
  expect(await client.ended()).toBe("clean");
  expect(client.text).toBe(":\ndata: 1\n\n");
  const next = openStream(gateway.port);
  await next.ended();
  expect(next.text).toBe(":\ndata: 1\n\n");
});
