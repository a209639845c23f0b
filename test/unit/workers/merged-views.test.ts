import { expect, test } from "vitest";
import type { View } from "../../../src/admin/admin-view.ts";
import type { StreamPage, StreamQuery } from "../../../src/admin/streams.ts";
import { mergedPages, mergedViews } from "../../../src/workers/merged-views.ts";

type Stream = StreamPage["streams"][number];

const QUERY: StreamQuery = { offset: 0, limit: 2, sort: "oldest", route: undefined };

const stream = (ageMs: number): Stream => ({
  id: `s${ageMs}`,
  route: "main",
  client: "10.0.0.1",
  app: undefined,
  backend: undefined,
  ageMs,
  events: 0,
  eventsPerSecond: ageMs % 7,
  bytes: 1000 - ageMs,
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
  startedAt: 1,
  isReady: true,
  obstacles: [],
  sample: undefined,
  routes: [],
  routeCount: 0,
  unmatched: 0,
  backends: [],
  backendCount: 0,
  backendsUp: 0,
  ends: [],
  reloads: { succeeded: 0, failed: 0, last: undefined },
  streams: page(0, []),
  ...over,
});

const backend = (state: "up" | "unhealthy" | "failing", inFlight: number) => ({
  route: "main",
  backend: "http://b",
  state,
  failing: undefined,
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
  const row = (answers: number | undefined) => ({
    ...{ name: "main", path: "/", host: undefined, streams: 1, events: 2 },
    ...{ eventsPerSecond: 3, requests: 4, failures: 5, answers },
  });
  const routes = (...counts: readonly (number | undefined)[]) =>
    mergedViews(
      counts.map((answers) => view({ routes: [row(answers)] })),
      QUERY,
    ).routes;
  expect(routes(2, 3, undefined)).toEqual([
    { ...row(5), streams: 3, events: 6, eventsPerSecond: 9, requests: 12, failures: 15 },
  ]);
  expect(routes(undefined, 3)[0]?.answers).toBe(3);
  expect(routes(undefined)[0]?.answers).toBeUndefined();
});

test("without workers the view is empty", () => {
  expect(mergedViews([], QUERY)).toMatchObject({ routes: [], routeCount: 0, backendsUp: 0, unmatched: 0 });
});
