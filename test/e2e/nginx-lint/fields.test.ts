import { connect } from "node:http2";
import { afterTest } from "../../support/after-test.ts";
import { eventually } from "../../support/eventually.ts";
import type { Lab } from "../../support/nginx-lab.ts";
import { count, echo, type Live, seenBy, testLive } from "./live-table.ts";

const ORIGIN = "Origin: https://app.example.com";
const ALLOW = /^access-control-allow-origin: /im;
const FORGED = ["X-Forwarded-For: 192.0.2.66"];
const UPGRADE = ["Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Version: 13"];

const lacks = (text: string, field: string): boolean =>
  !text.toLowerCase().includes(`\n${field.toLowerCase()}: `);

/** Whether a handshake fails although the backend would accept it. */
async function failsToUpgrade(lab: Lab): Promise<boolean> {
  await lab.ask("/ws", UPGRADE);
  const { head } = await lab.backend.nextRequest();
  const field = (name: string) => head.fields.find(([have]) => have.toLowerCase() === name)?.[1] ?? "";
  const isHandshake = field("upgrade") === "websocket" && /upgrade/i.test(field("connection"));
  return !(isHandshake && head.version === "HTTP/1.1");
}

/** Whether the stream of an HTTP/2 client without TLS is reset. */
async function isReset(lab: Lab): Promise<boolean> {
  const session = connect(`http://127.0.0.1:${lab.port}`);
  afterTest(() => session.destroy());
  session.on("error", () => {});
  const stream = session.request({ ":path": "/events" });
  let outcome: "reset" | "answered" | undefined;
  stream.on("error", () => {
    outcome ??= "reset";
  });
  stream.on("end", () => {
    outcome ??= "answered";
  });
  stream.resume();
  await eventually(() => outcome !== undefined, "an answer or a reset");
  return outcome === "reset";
}

const sorry = (request: Parameters<typeof echo>[0]): void =>
  request.respond(502, { "Access-Control-Allow-Origin": "*", "Retry-After": "7" }, "the backend's own");

const ENTRIES: readonly Live[] = [
  {
    rule: "cors-twice",
    effect: async (lab) =>
      count((await lab.headOf("/events", [ORIGIN])).toLowerCase(), "allow-origin:") === 2,
    setup: { answer: echo },
  },
  {
    rule: "cors-maybe-twice",
    effect: async (lab) =>
      count((await lab.headOf("/events", [ORIGIN])).toLowerCase(), "allow-origin:") === 2,
    setup: { answer: (request) => request.respond(200, { "Access-Control-Allow-Origin": "*" }) },
  },
  {
    rule: "cors-not-on-errors",
    effect: async (lab) => !ALLOW.test(await lab.headOf("/events", [ORIGIN])),
    setup: { answer: (request) => request.respond(429) },
  },
  {
    rule: "preflight-needs-credentials",
    effect: async (lab) => (await lab.headOf("/events", [ORIGIN], "OPTIONS")).startsWith("HTTP/1.1 401"),
    setup: { answer: echo },
  },
  {
    rule: "preflight-answered-here",
    effect: async (lab) => {
      const head = await lab.headOf("/events", [ORIGIN], "OPTIONS");
      return lab.backend.requests.length === 0 && !ALLOW.test(head);
    },
    setup: { answer: (request) => request.respond(204, { "Access-Control-Allow-Origin": "*" }) },
  },
  {
    rule: "preflight-loses-fields",
    effect: async (lab) => !ALLOW.test(await lab.headOf("/events", [ORIGIN], "OPTIONS")),
  },
  {
    rule: "fields-lost-in-if",
    effect: async (lab) => !ALLOW.test(await lab.headOf("/events?debug=1", [ORIGIN])),
    setup: { answer: echo },
  },
  {
    rule: "fields-lost",
    effect: async (lab) => lacks(await lab.headOf("/events"), "Strict-Transport-Security"),
    setup: { answer: echo },
  },
  { rule: "connection-field-in-http2", effect: isReset, setup: { answer: echo } },
  {
    rule: "field-twice",
    effect: async (lab) => count((await lab.headOf("/events")).toLowerCase(), "content-type:") === 2,
    setup: { answer: (request) => request.respond(200, { "Content-Type": "text/event-stream" }) },
  },
  {
    rule: "expires-overrides",
    effect: async (lab) => (await lab.headOf("/events")).includes("max-age=2592000"),
    setup: { answer: (request) => request.respond(200, { "Cache-Control": "no-cache" }) },
  },
  {
    rule: "errors-replaced",
    effect: async (lab) => lacks(await lab.headOf("/events"), "Retry-After"),
    setup: { answer: sorry },
  },
  {
    rule: "error-becomes-200",
    effect: async (lab) => (await lab.headOf("/events")).startsWith("HTTP/1.1 200"),
    setup: { answer: (request) => request.reset() },
  },
  {
    rule: "request-fields-lost",
    effect: async (lab) => lacks(await seenBy(lab, "/events"), "X-Forwarded-For"),
  },
  {
    rule: "host-lost",
    effect: async (lab) => !(await seenBy(lab, "/events")).includes("\nHost: sluice.test:8080\n"),
  },
  {
    rule: "host-port-lost",
    effect: async (lab) => (await seenBy(lab, "/events")).includes("\nHost: sluice.test\n"),
  },
  {
    rule: "request-field-twice",
    effect: async (lab) => count(await seenBy(lab, "/events"), "\nHost: ") === 2,
  },
  {
    rule: "client-address-forgeable",
    effect: async (lab) => (await seenBy(lab, "/events", FORGED)).includes("192.0.2.66"),
  },
  {
    rule: "client-address-lost",
    effect: async (lab) => lacks(await seenBy(lab, "/events"), "X-Forwarded-For"),
  },
  {
    rule: "scheme-lost",
    effect: async (lab) => lacks(await seenBy(lab, "/events"), "X-Forwarded-Proto"),
    // Without TLS the same field is present or missing.
    setup: { edit: (text) => text.replace(" ssl;", ";") },
  },
  {
    rule: "request-fields-dropped",
    effect: async (lab) => lacks(await seenBy(lab, "/events", ["Last-Event-ID: 7"]), "Last-Event-ID"),
  },
  {
    rule: "last-event-id-cleared",
    effect: async (lab) => lacks(await seenBy(lab, "/events", ["Last-Event-ID: 7"]), "Last-Event-ID"),
  },
  {
    rule: "underscored-field",
    effect: async (lab) => lacks(await seenBy(lab, "/events", ["API_KEY: secret"]), "API_KEY"),
  },
  {
    rule: "connection-upgrade-on-all",
    effect: async (lab) => (await seenBy(lab, "/events")).includes("\nConnection: upgrade\n"),
  },
  { rule: "upgrade-missing", effect: failsToUpgrade },
  { rule: "upgrade-needs-1.1", effect: failsToUpgrade },
  { rule: "upgrade-without-connection", effect: failsToUpgrade },
  {
    rule: "real-ip-from-anyone",
    effect: async (lab) => (await seenBy(lab, "/events", FORGED)).includes("192.0.2.66"),
    // The test's client connects from 127.0.0.1, so the good configuration has to trust another address.
    setup: { edit: (text) => text.replace("set_real_ip_from 127.0.0.1;", "set_real_ip_from 192.0.2.1;") },
  },
];
testLive(ENTRIES);
