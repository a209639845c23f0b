import { expect, test } from "vitest";
import type { View } from "../../../src/admin/admin-view.ts";
import type { StreamPage, ViewQuery } from "../../../src/admin/streams.ts";
import { Incidents } from "../../../src/runtime/incidents.ts";
import { mergedPages, mergedViews } from "../../../src/workers/merged-views.ts";

type Stream = StreamPage["streams"][number];

const QUERY: ViewQuery = {
  ...{ offset: 0, limit: 2, sort: "oldest", route: undefined },
  ...{ endRoute: undefined, endReason: undefined },
};

const stream = (ageMs: number): Stream => ({
  id: `s${ageMs}`,
  route: "main",
  path: "/",
  client: "10.0.0.1",
  app: undefined,
  backend: undefined,
  ageMs,
  firstEventMs: ageMs === 6 ? undefined : ageMs % 5,
  events: 0,
  eventsPerSecond: ageMs % 7,
  bytes: 1000 - ageMs,
  pendingBytes: ageMs % 4,
});

const page = (total: number, ages: readonly number[]): StreamPage => ({
  total,
  offset: 0,
  limit: 100,
  streams: ages.map(stream),
});

const agesOf = ({ streams }: StreamPage) => streams.map(({ ageMs }) => ageMs);

test.each([
  ["oldest", [9, 8]],
  ["newest", [1, 2]],
  ["bytes", [1, 2]],
  ["rate", [6, 5]],
  ["backlog", [3, 6]],
  ["delay", [6, 9]],
] as const)("the first page sorted by %s covers all workers", (sort, ages) => {
  const pages = [page(3, [9, 5, 1]), page(4, [8, 6, 2, 3])];
  const merged = mergedPages(pages, { ...QUERY, sort });
  expect(agesOf(merged)).toEqual(ages);
  expect(merged.total).toBe(7);
});

test("pages are contiguous, and an offset beyond the last page gives the last page", () => {
  const pages = [page(3, [9, 5, 1]), page(2, [8, 6])];
  expect(agesOf(mergedPages(pages, { ...QUERY, offset: 2 }))).toEqual([6, 5]);
  expect(agesOf(mergedPages(pages, { ...QUERY, offset: 4 }))).toEqual([1]);
  expect(mergedPages(pages, { ...QUERY, offset: 90 })).toMatchObject({ offset: 4, total: 5 });
  expect(mergedPages([], QUERY)).toEqual({ total: 0, offset: 0, limit: 2, streams: [] });
});

const view = (over: Partial<View>): View => ({
  at: 1,
  about: { version: "1", host: "h", node: "v20" },
  startedAt: 1,
  workers: undefined,
  isReady: true,
  obstacles: [],
  sample: undefined,
  routes: [],
  routeCount: 0,
  backends: [],
  backendCount: 0,
  backendsUp: 0,
  failures: [],
  failureSums: { refused: 0, failed: 0 },
  unrecorded: {},
  ends: [],
  endCounts: {},
  incidents: new Incidents().counts,
  reloads: { succeeded: 0, failed: 0, last: undefined },
  streams: page(0, []),
  ...over,
});

const backend = (state: "up" | "unhealthy" | "failing", inFlight: number) => ({
  route: "main",
  backend: "http://b",
  state,
  failing: undefined,
  isOut: state === "unhealthy",
  isBackup: false,
  inFlight,
});

test("a backend has the worst state that a worker reports, and the requests of all workers", () => {
  const views = [
    view({ backends: [backend("up", 2)], backendCount: 1, backendsUp: 1 }),
    view({ backends: [backend("failing", 3)], backendCount: 1, backendsUp: 0 }),
  ];
  expect(mergedViews(views, QUERY)).toMatchObject({
    backends: [{ state: "failing", inFlight: 5 }],
    backendCount: 1,
    backendsUp: 0,
  });
});

test("the numbers of a route are those of all workers; a worker without answers counts as none", () => {
  const answers = (of: number) => ({ running: of, kept: 1, bytes: 10, resumes: { attached: of } });
  const row = (of: number | undefined) => ({
    ...{ name: "main", path: "/", host: undefined, streams: 1, events: 2 },
    ...{ eventsPerSecond: 3, requests: 4, failures: 5, answers: of === undefined ? undefined : answers(of) },
  });
  const routes = (...counts: readonly (number | undefined)[]) =>
    mergedViews(
      counts.map((of) => view({ routes: [row(of)] })),
      QUERY,
    ).routes;
  expect(routes(2, 3, undefined)).toEqual([
    {
      ...row(undefined),
      ...{ streams: 3, events: 6, eventsPerSecond: 9, requests: 12, failures: 15 },
      answers: { running: 5, kept: 2, bytes: 20, resumes: { attached: 5 } },
    },
  ]);
  expect(routes(undefined, 3)[0]?.answers).toEqual(answers(3));
  expect(routes(undefined)[0]?.answers).toBeUndefined();
});

test("refused and failed requests and the reasons of ends are added up, the most frequent first", () => {
  const failure = (
    reason: "rate_limited" | "no_backend",
    status: number,
    recent: number,
    lastAt: number,
  ) => ({
    ...{ route: "main", reason, status, total: 10, recent, lastAt },
  });
  const end = (id: string, endedAt: number) => ({
    ...{ id, route: "main", path: "/", client: "10.0.0.1", backend: undefined },
    ...{ reason: "client_gone" as const, events: 0, bytes: 0, durationMs: 1, endedAt },
  });
  const views = [
    view({
      failures: [failure("no_backend", 502, 3, 100), failure("rate_limited", 429, 2, 50)],
      failureSums: { refused: 2, failed: 3 },
      ends: [end("a", 1), end("c", 3)],
      endCounts: { client_gone: 2 },
    }),
    view({
      failures: [failure("rate_limited", 429, 5, 70)],
      failureSums: { refused: 5, failed: 0 },
      ends: [end("b", 2)],
      endCounts: { client_gone: 1, drained: 4 },
    }),
  ];
  const merged = mergedViews(views, QUERY);
  expect(merged.failures).toEqual([
    { ...failure("rate_limited", 429, 7, 70), total: 20 },
    failure("no_backend", 502, 3, 100),
  ]);
  expect(merged.failureSums).toEqual({ refused: 7, failed: 3 });
  expect(merged.ends.map(({ id }) => id)).toEqual(["c", "b", "a"]);
  expect(merged.endCounts).toEqual({ client_gone: 3, drained: 4 });
});

test("without workers the view is empty", () => {
  expect(mergedViews([], QUERY)).toMatchObject({ routes: [], routeCount: 0, backendsUp: 0 });
});
