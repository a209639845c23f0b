import { expect, test } from "vitest";
import { streamQuery, viewQuery } from "../../../src/admin/streams.ts";

const read = (text: string) => viewQuery(new URLSearchParams(text));

test("a dashboard's pages end with the 500th stream, those of the list of all streams do not", () => {
  expect(read("offset=100000&limit=20").offset).toBe(480);
  expect(read("offset=100000&limit=500").offset).toBe(0);
  expect(read("offset=40&limit=20").offset).toBe(40);
  expect(streamQuery(new URLSearchParams("offset=100000")).offset).toBe(100_000);
});

test("an empty or missing filter is none, an unknown order the default", () => {
  expect(read("route=&endRoute=&sort=best")).toMatchObject({
    ...{ route: undefined, endRoute: undefined, endReason: undefined, sort: "oldest" },
  });
  expect(read("sort=backlog&endRoute=chat&endReason=client_gone")).toMatchObject({
    ...{ sort: "backlog", endRoute: "chat", endReason: "client_gone" },
  });
});
