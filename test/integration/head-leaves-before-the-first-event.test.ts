import { expect, test } from "vitest";
import { openRelay } from "../support/relay.ts";

test("the head and one comment line arrive while the backend has sent no event", async () => {
  const { client } = await openRelay();
  await client.received(":\n");
  expect(client.head?.status).toBe(200);
  expect(client.body.toString()).toBe(":\n");
  expect(client.end).toBeUndefined();
});

test("without the prelude the head still leaves ahead of the first event", async () => {
  const { client, request } = await openRelay({ route: { stream: { prelude: false } } });
  expect(client.head?.status).toBe(200);
  expect(client.body.length).toBe(0);
  request.emit("data: 1\n\n");
  await client.received("data: 1\n\n");
  expect(client.text).toBe("data: 1\n\n");
});
