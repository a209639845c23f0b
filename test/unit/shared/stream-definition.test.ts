import { expect, test } from "vitest";
import { routeSchema } from "../../../src/config/route-schema.ts";
import { streamDefinition } from "../../../src/shared/channel-key.ts";

const definitionOf = (route: Readonly<Record<string, unknown>>) =>
  streamDefinition({
    ...routeSchema.parse({ match: { path: "/*" }, upstream: "http://a", shared: {}, ...route }),
    name: "main",
  });

test("settings of redirects, cookies and Via do not change the record of a stream", () => {
  const plain = definitionOf({});
  expect(definitionOf({ rewrite: { redirects: "off", cookies: { path: "auto" } } })).toBe(plain);
  expect(definitionOf({ headers: { request: { via: "on" } } })).toBe(plain);
  // Without a new record after an update, clients find the events that they have missed.
  expect(plain).toContain('"rewrite":{"stripPrefix":"","addPrefix":""},"headers":{"set":{},"remove":[]}');
});

test.each([
  { upstream: "http://b" },
  { rewrite: { addPrefix: "/v1" } },
  { headers: { request: { set: { "X-A": "1" } } } },
])("%j changes it", (route) => {
  expect(definitionOf(route)).not.toBe(definitionOf({}));
});
