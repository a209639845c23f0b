import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import type { ClientRequest } from "../../../src/http/client-request.ts";
import { requestedProtocol, switchFault, upgradeFields } from "../../../src/websocket/protocol.ts";
import { UpgradeBody } from "../../../src/websocket/upgrade-body.ts";

const asking = (upgrade: string, ...more: string[]) => [
  ...["Upgrade", upgrade, "Connection", "Upgrade"],
  ...more,
];

function request(
  rawHeaders: readonly string[],
  { method = "GET", httpVersion = "1.1", length = 0, isChunked = false } = {},
): ClientRequest {
  const framed = {
    stream: Object.assign(new UpgradeBody(1), { rawTrailers: [] }),
    length: isChunked ? undefined : length,
  };
  const body = length === 0 && !isChunked ? undefined : framed;
  return { method, url: "/", httpVersion, rawHeaders, body };
}

describe("requestedProtocol", () => {
  test.each([
    [asking("websocket"), ["websocket"], "websocket"],
    [asking("WebSocket"), ["websocket"], "websocket"],
    [asking("h2c, websocket"), ["websocket"], "websocket"],
    [asking("h2c, tcp"), ["tcp", "h2c"], "h2c"],
    [asking("SPDY/3.1"), ["spdy/3.1"], "spdy/3.1"],
    [["Upgrade", "tcp", "Connection", "keep-alive", "Connection", "UPGRADE"], ["tcp"], "tcp"],
  ])("%j asks for one of %j: %s", (rawHeaders, protocols, wanted) => {
    expect(requestedProtocol(request(rawHeaders), protocols)).toBe(wanted);
  });

  test.each([
    [[], ["websocket"]],
    [asking("websocket"), []],
    [asking("tcp"), ["websocket"]],
    [asking("websockets"), ["websocket"]],
    [asking("SPDY/3"), ["spdy/3.1"]],
    [["Upgrade", "tcp"], ["tcp"]],
    [["Upgrade", "tcp", "Connection", "keep-alive"], ["tcp"]],
    [["Connection", "Upgrade"], ["tcp"]],
    [asking("tcp", "Expect", "100-continue"), ["tcp"]],
  ])("%j asks for none of %j", (rawHeaders, protocols) => {
    expect(requestedProtocol(request(rawHeaders), protocols)).toBeUndefined();
  });

  test.each([
    [{ httpVersion: "1.0" }, "tcp"],
    [{ method: "HEAD" }, "tcp"],
    [{ method: "POST" }, "websocket"],
    [{ method: "POST", length: 65_537 }, "tcp"],
    [{ method: "POST", isChunked: true }, "tcp"],
  ])("a request with %j does not switch to %s", (line, protocol) => {
    expect(requestedProtocol(request(asking(protocol), line), [protocol])).toBeUndefined();
  });

  test("a request with a short body may switch", () => {
    const post = request(asking("tcp"), { method: "POST", length: 65_536 });
    expect(requestedProtocol(post, ["tcp"])).toBe("tcp");
  });
});

describe("upgradeFields", () => {
  const FIELDS = ["Host", "a", "Content-Length", "5", "TE", "trailers"];

  test("removes the length of a WebSocket handshake", () => {
    expect(upgradeFields(FIELDS, "websocket", asking("WebSocket"))).toEqual([
      "Host",
      "a",
      "Connection",
      "Upgrade",
      "Upgrade",
      "websocket",
    ]);
  });

  test("keeps the length of any other request, and the protocol as the client spells it", () => {
    expect(upgradeFields(FIELDS, "spdy/3.1", asking("h2c, SPDY/3.1"))).toEqual([
      "Host",
      "a",
      "Content-Length",
      "5",
      "Connection",
      "Upgrade",
      "Upgrade",
      "SPDY/3.1",
    ]);
  });

  test("forwards HTTP2-Settings with h2c, as a field of the connection", () => {
    expect(upgradeFields(["Host", "a"], "h2c", asking("h2c", "HTTP2-Settings", "AAMAAABk"))).toEqual([
      ...["Host", "a", "Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c"],
      ...["HTTP2-Settings", "AAMAAABk"],
    ]);
  });
});

describe("switchFault", () => {
  const switched = (rawHeaders: string[]) => ({ rawHeaders }) as IncomingMessage;

  test.each([["tcp"], ["TCP"]])("a switch to %s is the one to tcp", (upgrade) => {
    expect(switchFault(switched(asking(upgrade)), "tcp")).toBeUndefined();
  });

  test.each([["h2c"], ["tcp, h2c"], [""]])("a switch to %j instead of tcp is a fault", (upgrade) => {
    expect(switchFault(switched(asking(upgrade)), "tcp")).toContain("instead of tcp");
  });
});
