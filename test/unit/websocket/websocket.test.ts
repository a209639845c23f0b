import { describe, expect, test } from "vitest";
import { ProxyError } from "../../../src/base/errors.ts";
import type { ClientRequest } from "../../../src/http/client-request.ts";
import { checkHandshake, handshakeFields, isWebSocketUpgrade } from "../../../src/websocket/websocket.ts";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const SOUND = [
  "Upgrade",
  "websocket",
  "Connection",
  "Upgrade",
  "Sec-WebSocket-Version",
  "13",
  "Sec-WebSocket-Key",
  KEY,
];

function request(rawHeaders: readonly string[], { method = "GET", httpVersion = "1.1" } = {}): ClientRequest {
  return { method, url: "/", httpVersion, rawHeaders, body: undefined };
}

const replaced = (name: string, ...values: string[]): string[] => {
  const at = SOUND.indexOf(name);
  return [...SOUND.slice(0, at), ...values.flatMap((value) => [name, value]), ...SOUND.slice(at + 2)];
};

describe("isWebSocketUpgrade", () => {
  test.each([
    [SOUND],
    [replaced("Upgrade", "WebSocket")],
    [replaced("Upgrade", "h2c, websocket")],
    [replaced("Connection", "keep-alive, upgrade")],
    [replaced("Connection", "keep-alive", "UPGRADE")],
  ])("%j asks for an upgrade", (rawHeaders) => {
    expect(isWebSocketUpgrade(request(rawHeaders))).toBe(true);
  });

  test.each([
    [[]],
    [replaced("Upgrade", "h2c")],
    [replaced("Upgrade", "websockets")],
    [replaced("Upgrade")],
    [replaced("Connection", "keep-alive")],
    [replaced("Connection")],
  ])("%j asks for no upgrade", (rawHeaders) => {
    expect(isWebSocketUpgrade(request(rawHeaders))).toBe(false);
  });

  test.each([{ method: "POST" }, { httpVersion: "1.0" }])("a request with %j asks for no upgrade", (line) => {
    expect(isWebSocketUpgrade(request(SOUND, line))).toBe(false);
  });
});

describe("checkHandshake", () => {
  const refusal = (rawHeaders: readonly string[]): ProxyError | undefined => {
    try {
      checkHandshake(request(rawHeaders));
    } catch (error) {
      if (error instanceof ProxyError) return error;
      throw error;
    }
    return undefined;
  };

  test("a valid handshake passes, also with an empty body", () => {
    expect(refusal(SOUND)).toBeUndefined();
    expect(refusal([...SOUND, "Content-Length", "0"])).toBeUndefined();
  });

  test.each([[[]], [["8"]], [["13, 8"]], [["13", "13"]], [["013"]]])("version %j gets a 426", (versions) => {
    const error = refusal(replaced("Sec-WebSocket-Version", ...versions));
    expect(error?.status).toBe(426);
    expect(error?.fields).toContainEqual(["Sec-WebSocket-Version", "13"]);
  });

  test.each([[[]], [[KEY, KEY]], [["short=="]], [[KEY.slice(0, -2)]], [["{GhlIHNhbXBsZSBub25jZQ=="]]])(
    "key %j gets a 400",
    (keys) => {
      expect(refusal(replaced("Sec-WebSocket-Key", ...keys))?.status).toBe(400);
    },
  );

  test.each([
    ["Content-Length", "5"],
    ["Content-Length", "00"],
    ["Transfer-Encoding", "chunked"],
  ])("%s: %s gets a 400", (name, value) => {
    expect(refusal([...SOUND, name, value])?.status).toBe(400);
  });
});

test("handshakeFields adds the fields of an upgrade and removes the fields that frame a body", () => {
  expect(handshakeFields(["Host", "a", "content-length", "0", "TE", "trailers", "X", "1"])).toEqual([
    ...["Host", "a", "X", "1"],
    ...["Connection", "Upgrade", "Upgrade", "websocket"],
  ]);
});
