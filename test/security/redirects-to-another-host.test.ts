import fc from "fast-check";
import { expect, test } from "vitest";
import { clientLocation, clientRefresh } from "../../src/upstream/redirects.ts";
import { startBackend } from "../support/backend.ts";
import { startGateway } from "../support/gateway.ts";
import { rawRequest } from "../support/raw-client.ts";
import { answeredBy, type RedirectCase } from "../support/redirecting.ts";

// A proxy that maps redirects by text sends browsers elsewhere: `http://backend//evil.test` becomes `//evil.test`, and
// `http://backend.evil.test` begins with the backend's name.

const CASES: readonly RedirectCase[] = [
  {},
  { tls: true },
  { host: "" },
  { rewrite: { stripPrefix: "/here", addPrefix: "/v1" } },
  { fields: ["X-Forwarded-Proto", "https"], isTrusted: true },
  { fields: ["X-Forwarded-Proto", "https", "X-Forwarded-Prefix", "//evil.test"], isTrusted: true },
  { upstream: { backends: [{ url: "http://10.0.0.5:3000" }], hostHeader: "backend" } },
];

const piece = fc.constantFrom(
  ...[
    "http:",
    "https:",
    "HTTP:",
    "/",
    "//",
    "\\",
    "@",
    ":",
    ":80",
    ":3000",
    "?",
    "#",
    ";",
    ".",
    "..",
    "\t",
    " ",
  ],
  ...[
    "10.0.0.5",
    "10.0.0.5:3000",
    "http://10.0.0.5:3000",
    "app.example",
    "evil.test",
    "v1",
    "%2f",
    "\xff",
    "[::1]",
  ],
);
const location = fc.array(piece, { maxLength: 9 }).map((pieces) => pieces.join(""));

/** Returns the origin to which a browser goes from a page of the client's; undefined if it goes nowhere. */
function originFrom(page: string, reference: string): string | undefined {
  return URL.canParse(reference, page) ? new URL(reference, page).origin : undefined;
}

test.each(CASES)("no Location leads to another host than it did, or than the client's: %j", (given) => {
  const answered = answeredBy(given);
  const page = `${given.tls === true || given.isTrusted === true ? "https" : "http"}://app.example/here`;
  const own = new URL(page).origin;
  fc.assert(
    fc.property(location, (text) => {
      const wanted = [own, originFrom(page, text)];
      const mapped = clientLocation(text, answered);
      if (mapped !== text) expect(wanted).toContain(originFrom(page, mapped));
      const refresh = clientRefresh(`0; url=${text}`, answered);
      expect(refresh.startsWith("0; url=")).toBe(true);
      if (refresh !== `0; url=${text}`) expect(wanted).toContain(originFrom(page, refresh.slice(7)));
    }),
    { numRuns: 5_000, examples: [["http://10.0.0.5:3000//evil.test"], ["http://10.0.0.5:3000/\\evil.test"]] },
  );
});

test.each([
  ["X-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: https\r\n"],
  ["X_Forwarded_Host: evil.test\r\n"],
  ["Forwarded: host=evil.test;proto=https\r\n"],
  ["X-Forwarded-Prefix: //evil.test\r\n"],
  ["X-Forwarded-Port: 1\r\n"],
])("no field of an untrusted client but Host is used in a Location: %j", async (fields) => {
  const backend = await startBackend((request) => {
    request.respond(302, { Location: `http://127.0.0.1:${backend.port}/x` });
  });
  const gateway = await startGateway({ routes: { main: { match: { path: "/*" }, upstream: backend.url } } });
  const bytes = `GET / HTTP/1.1\r\nHost: app.example\r\n${fields}Connection: close\r\n\r\n`;
  expect((await rawRequest(gateway.port, bytes)).text).toContain("\r\nLocation: http://app.example/x\r\n");
});
