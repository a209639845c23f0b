import type { Lab } from "../../support/nginx-lab.ts";
import { echo, type Live, openWith, seenBy, testLive } from "./live-table.ts";

const sees = async (lab: Lab, target: string, line: string) =>
  (await seenBy(lab, target)).startsWith(`GET ${line}\n`);
const statusOf = async (lab: Lab, target: string, method = "GET") =>
  Number((await lab.headOf(target, [], method)).slice(9, 12));

/** Sends half of a body; whether the backend gets the request only at the body's end. */
async function waitsForBody(lab: Lab, target: string): Promise<boolean> {
  const client = await lab.ask(target, ["Transfer-Encoding: chunked"], "POST");
  client.send("4\r\nhalf\r\n");
  return !(await lab.happens(() => lab.backend.requests.length === 1));
}

const ENTRIES: readonly Live[] = [
  { rule: "request-buffered", effect: (lab) => waitsForBody(lab, "/v1/completions") },
  { rule: "unbuffered-request-needs-1.1", effect: (lab) => waitsForBody(lab, "/upload") },
  {
    rule: "auth-request-waits-for-a-body",
    effect: async (lab) => {
      const client = await lab.ask("/v1/messages", [], "POST", "body");
      return !(await lab.comes(client, "HTTP/1.1 200"));
    },
    // Like every server, the backend responds after the announced body.
    setup: {
      answer: (request) =>
        void request.wholeBody().then(
          () => request.respond(),
          () => {},
        ),
    },
  },
  {
    rule: "body-limit",
    effect: async (lab) => {
      const head = await lab.headOf("/v1/completions", [], "POST", "x".repeat(1_100_000));
      return head.startsWith("HTTP/1.1 413");
    },
    setup: { answer: echo },
  },
  {
    rule: "path-rewritten",
    effect: async (lab) => sees(lab, "/a%2Fb", "/a/b"),
  },
  { rule: "double-slash", effect: async (lab) => sees(lab, "/api/x", "//x") },
  { rule: "slash-missing", effect: async (lab) => sees(lab, "/api/x", "/v1x") },
  { rule: "query-lost", effect: async (lab) => sees(lab, "/api/x?y=1", "/v1") },
  {
    rule: "decoded-path-in-proxy-pass",
    effect: async (lab) => {
      await lab.ask("/api/a%20b");
      const { head } = await lab.backend.nextRequest();
      // A blank in the request line: the text after it takes the place of the version.
      return head.version !== "HTTP/1.1";
    },
  },
  {
    rule: "no-resolver",
    effect: async (lab) => {
      await lab.headOf("/api/");
      return lab.errorLog.includes("no resolver defined");
    },
    // The resolver of the good configuration does not respond.
    setup: {
      edit: (text) => text.replace("resolver 127.0.0.1;", "resolver 127.0.0.1; resolver_timeout 1s;"),
    },
  },
  {
    rule: "slash-redirect",
    effect: async (lab) => (await statusOf(lab, "/mcp", "POST")) === 301,
    setup: { answer: echo },
  },
  {
    rule: "static-regex-first",
    effect: async (lab) => (await statusOf(lab, "/api/stream.json")) === 404,
    setup: { answer: echo },
  },
  {
    rule: "nested-location-without-pass",
    effect: async (lab) => (await statusOf(lab, "/api/stream")) === 404,
    setup: { answer: echo },
  },
  {
    rule: "spa-answers",
    effect: async (lab) => (await lab.headOf("/live")).includes("Content-Type: text/"),
    setup: { answer: openWith("data: 1\n\n", { "Content-Type": "application/x-stream" }) },
  },
];
testLive(ENTRIES);
