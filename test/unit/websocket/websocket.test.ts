import { describe, expect, test } from "vitest";
import { ProxyError } from "../../../src/base/errors.ts";
import type { ClientRequest } from "../../../src/http/client-request.ts";
import { checkHandshake } from "../../../src/websocket/websocket.ts";

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

function request(rawHeaders: readonly string[]): ClientRequest {
  return { method: "GET", url: "/", httpVersion: "1.1", rawHeaders, body: undefined };
}

const replaced = (name: string, ...values: string[]): string[] => {
  const at = SOUND.indexOf(name);
  return [...SOUND.slice(0, at), ...values.flatMap((value) => [name, value]), ...SOUND.slice(at + 2)];
};

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
