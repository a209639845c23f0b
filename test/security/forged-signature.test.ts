import { createHmac } from "node:crypto";
import { connect } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { AUTH_FAILED, startPlainBackend } from "../support/answers.ts";
import { rawSigned, WEB_CLIENT } from "../support/app-signer.ts";
import { startGateway } from "../support/gateway.ts";
import { StreamClient } from "../support/sse-client.ts";

async function startSigned(auth: Record<string, unknown> = {}, apps: Record<string, unknown> = {}) {
  const backend = await startPlainBackend();
  const gateway = await startGateway({
    apps: { "web-client": WEB_CLIENT, ...apps },
    routes: {
      main: {
        match: { path: "/*" },
        upstream: backend.url,
        cors: { allowOrigins: ["https://app.example.com"] },
        websocket: true,
        auth: { app: { apps: ["web-client"], ...auth } },
      },
    },
  });
  const unsigned = { method: "GET", host: gateway.host, path: "/stream" };
  /** Returns the refusal, and whether the backend got the request. */
  const send = async (raw: Buffer) => {
    const before = backend.bytesReceived;
    const client = new StreamClient(
      connect(gateway.port, "127.0.0.1"),
      raw.toString("latin1", 0, raw.indexOf(" ")),
    );
    client.socket.write(raw);
    await client.ended();
    client.leave();
    const { head, text } = client;
    const json = /\{.*\}/s.exec(text)?.[0];
    const parsed = json === undefined ? {} : (JSON.parse(json) as Record<string, unknown>);
    const { request_id, error: _, ...body } = parsed;
    return {
      status: head?.status ?? 0,
      body: { ...body, hasId: typeof request_id === "string" },
      reached: backend.bytesReceived > before,
    };
  };
  return { backend, gateway, unsigned, send };
}

const REFUSED = { ...AUTH_FAILED, reached: false };
const SERVED = { status: 200, reached: true };

/** Replaces a field of a signed request; undefined removes it. */
const field = (name: string, edit: (value: string) => string | readonly string[] | undefined) => ({
  edit: (lines: readonly string[]) =>
    lines.flatMap((line) => {
      const [key = "", ...rest] = line.split(": ");
      if (key.toLowerCase() !== name) return [line];
      return [edit(rest.join(": ")) ?? []].flat().map((value) => `${key}: ${value}`);
    }),
});

test("control: a correctly signed request is served", async () => {
  const { unsigned, send } = await startSigned();
  expect(await send(rawSigned(unsigned))).toMatchObject(SERVED);
});

test("a date outside of the window, or in any other form, is refused", async () => {
  const { unsigned, send } = await startSigned();
  const at = (ms: number) => new Date(Date.now() + ms).toISOString().replace(/[-:]|\.\d+/g, "");
  const minutes = 60_000;
  for (const ms of [-14.9 * minutes, 0, 14.9 * minutes]) {
    const raw = rawSigned({ ...unsigned, headers: { "X-Sdk-Date": at(ms) } });
    expect(await send(raw), `${ms}`).toMatchObject(SERVED);
  }
  const now = Date.now();
  for (const date of [
    at(-15.1 * minutes),
    at(15.1 * minutes),
    `${now}`,
    `-${at(0)}`,
    `+${at(0)}`,
    `${now / 1000}`,
    "1e99",
    `0x${now.toString(16)}`,
    "",
    `${at(0)}, ${at(0)}`,
  ]) {
    // The signature is right; only the date is wrong.
    const raw = rawSigned({ ...unsigned, headers: { "X-Sdk-Date": date } });
    expect(await send(raw), JSON.stringify(date)).toEqual(REFUSED);
  }
});

test("when the clock jumps, the window moves with it and the log has the reason", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  onTestFinished(() => void vi.useRealTimers());
  const { gateway, unsigned, send } = await startSigned();
  const raw = rawSigned(unsigned);
  const start = Date.now();
  for (const jump of [3_600_000, -3_600_000]) {
    vi.setSystemTime(start + jump);
    expect(await send(raw)).toEqual(REFUSED);
    expect(await send(rawSigned(unsigned))).toMatchObject(SERVED);
  }
  vi.setSystemTime(start);
  expect(await send(raw)).toMatchObject(SERVED);
  const messages = gateway
    .requestLines()
    .map(({ err }) => (err as { message?: string } | undefined)?.message);
  expect(messages.filter((text) => text?.startsWith("clock_skew: "))).toHaveLength(2);
});

test("a field of the signature that occurs twice is refused, even if one of the two is right", async () => {
  const { unsigned, send } = await startSigned();
  const signed = { ...unsigned, headers: { "X-Field": "1" } };
  for (const name of ["authorization", "x-sdk-date", "x-field"]) {
    expect(
      await send(
        rawSigned(
          signed,
          field(name, (value) => [value, value]),
        ),
      ),
      name,
    ).toEqual(REFUSED);
    expect(
      await send(
        rawSigned(
          signed,
          field(name, (value) => [value, "other"]),
        ),
      ),
      name,
    ).toEqual(REFUSED);
    expect(
      await send(
        rawSigned(
          signed,
          field(name, (value) => ["other", value]),
        ),
      ),
      name,
    ).toEqual(REFUSED);
    expect(
      await send(
        rawSigned(
          signed,
          field(name, () => undefined),
        ),
      ),
      name,
    ).toEqual(REFUSED);
  }
  const hash = { ...unsigned, headers: { "X-Sdk-Content-Sha256": "UNSIGNED-PAYLOAD" } };
  expect(await send(rawSigned(hash))).toMatchObject(SERVED);
  expect(
    await send(
      rawSigned(
        hash,
        field("x-sdk-content-sha256", (value) => [value, value]),
      ),
    ),
  ).toEqual(REFUSED);
});

test("a signed field must be forwarded: it may not be listed in Connection, or occur in a second spelling", async () => {
  const { backend, unsigned, send } = await startSigned();
  const signed = { ...unsigned, headers: { "X-Role": "read-only" } };
  const adding = (...added: string[]) => rawSigned(signed, { edit: (lines) => [...lines, ...added] });
  for (const line of [
    "Connection: close, x-role",
    "Connection: X-Role",
    "connection: keep-alive,\tx-role ,te",
    "Connection: x_role",
    "Connection: x-sdk-date",
    "Connection: host",
    `Connection: ${"a,".repeat(40)}x-role`,
    "X_Role: admin",
    "x.role: admin",
    "X_Sdk_Date: 20191115T033655Z",
  ]) {
    expect(await send(adding(line)), line).toEqual(REFUSED);
  }
  // Two field lines are one list.
  expect(await send(adding("Connection: close", "Connection: x-role"))).toEqual(REFUSED);
  // An unsigned field may be listed in Connection, and a field may have a name that only resembles a signed one.
  for (const line of ["Connection: close, x-other", "Connection: close", "X-Roles: admin"]) {
    expect(await send(adding(line, "X-Other: 1")), line).toMatchObject(SERVED);
    expect(backend.requests.at(-1)?.fieldLines("x-role")).toEqual(["read-only"]);
  }
});

test("a body other than the signed one is refused, whatever is declared", async () => {
  const { unsigned, send } = await startSigned();
  const post = { ...unsigned, method: "POST", body: "abc" };
  const swapped = (raw: Buffer) => Buffer.concat([raw.subarray(0, -3), Buffer.from("abd")]);
  const declared = {
    "X-Sdk-Content-Sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  };
  for (const headers of [{}, declared]) {
    expect(await send(rawSigned({ ...post, headers }))).toMatchObject(SERVED);
    expect(await send(swapped(rawSigned({ ...post, headers })))).toEqual(REFUSED);
  }
  // If UNSIGNED-PAYLOAD need not be signed, adding it would remove the body from any request's signature.
  const added = (lines: readonly string[]) => [...lines, "X-Sdk-Content-Sha256: UNSIGNED-PAYLOAD"];
  expect(await send(swapped(rawSigned(post, { edit: added })))).toEqual(REFUSED);
  const unsignedName = (lines: readonly string[]) =>
    lines.map((line) => line.replace(";x-sdk-content-sha256", ""));
  const whole = { ...post, headers: { "X-Sdk-Content-Sha256": "UNSIGNED-PAYLOAD" } };
  expect(await send(rawSigned(whole, { edit: unsignedName }))).toEqual(REFUSED);
});

test("the path that is signed is the one that is routed and forwarded, or the request gets a 400", async () => {
  const { backend, unsigned, send } = await startSigned();
  const signedAs = (target: string) => {
    const decoded = target.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
    return rawSigned({ ...unsigned, path: decoded }, { target });
  };
  for (const target of ["//a", "/a//b", "/a;x", "/A", "/a/", "/a%252fb"]) {
    expect(await send(signedAs(target)), target).toMatchObject(SERVED);
    expect(backend.requests.at(-1)?.target).toBe(target);
    expect(await send(rawSigned({ ...unsigned, path: "/a" }, { target })), target).toEqual(
      target === "/a/" ? expect.objectContaining(SERVED) : REFUSED,
    );
  }
  // An encoded slash is not a separator, so the path is not the signed /a/b.
  expect(await send(rawSigned({ ...unsigned, path: "/a/b" }, { target: "/a%2fb" }))).toEqual(REFUSED);
  for (const target of ["/a/../b", "/a/%2e%2e/b", "/a\\b", "/a/.", "/a%00", "/%zz", "/a%5cb"]) {
    expect(await send(signedAs(target)), target).toMatchObject({ status: 400, reached: false });
  }
});

test("a target in absolute form changes neither the backend nor the signed request", async () => {
  const { gateway, backend, unsigned, send } = await startSigned();
  expect(await send(rawSigned(unsigned, { target: `http://${gateway.host}/stream` }))).toMatchObject(SERVED);
  expect(backend.requests[0]?.target).toBe("/stream");
  const elsewhere = rawSigned(unsigned, { target: "http://other.example.com/stream" });
  expect(await send(elsewhere)).toMatchObject({ status: 400, reached: false });
  expect(await send(rawSigned(unsigned, { target: "//other.example.com/stream" }))).toEqual(REFUSED);
});

test("a signature is valid for one method, and no method is exempt", async () => {
  const { unsigned, send } = await startSigned();
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    const edit = (lines: readonly string[]) => lines.map((line) => line.replace(/^GET /, `${method} `));
    expect(await send(rawSigned(unsigned, { edit })), method).toEqual(REFUSED);
    expect(await send(Buffer.from(`${method} / HTTP/1.1\r\nHost: x\r\n\r\n`)), method).toEqual(REFUSED);
  }
  const head = (lines: readonly string[]) => lines.map((line) => line.replace(/^GET /, "HEAD "));
  expect(await send(rawSigned(unsigned, { edit: head }))).toMatchObject({ status: 401, reached: false });
});

test("a request that only resembles a preflight is not exempt, nor is an upgrade", async () => {
  const { unsigned, gateway, send } = await startSigned();
  const options = (...lines: string[]) =>
    Buffer.from(["OPTIONS /stream HTTP/1.1", `Host: ${gateway.host}`, ...lines, "", ""].join("\r\n"));
  const origin = "Origin: https://app.example.com";
  expect(await send(options(origin))).toEqual(REFUSED);
  expect(await send(options("Access-Control-Request-Method: GET"))).toEqual(REFUSED);
  expect(await send(options(origin, "Access-Control-Request-Method: GET"))).toMatchObject({ reached: false });
  const upgrade = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    origin,
  ];
  const asking = [`GET /stream HTTP/1.1`, `Host: ${gateway.host}`, ...upgrade, "", ""].join("\r\n");
  expect(await send(Buffer.from(asking))).toEqual(REFUSED);
  const edit = (lines: readonly string[]) => [...lines, ...upgrade];
  expect(await send(rawSigned(unsigned, { edit }))).toMatchObject({ reached: true });
});

test("a signature in any other spelling is refused", async () => {
  const { unsigned, send } = await startSigned();
  const spelled = (edit: (hex: string) => string) =>
    rawSigned(
      unsigned,
      field("authorization", (value) => value.replace(/[0-9a-f]{64}$/, edit)),
    );
  const bytes = (hex: string) => Buffer.from(hex, "hex");
  for (const edit of [
    () => "",
    (hex: string) => hex.slice(1),
    (hex: string) => `${hex}00`,
    (hex: string) => hex.toUpperCase(),
    (hex: string) => bytes(hex).toString("base64"),
    (hex: string) => bytes(hex).toString("base64url"),
    (hex: string) => `${hex.slice(1)}é`,
    () => "none",
    (hex: string) => hex.repeat(100),
  ]) {
    expect(await send(spelled(edit)), String(edit)).toEqual(REFUSED);
  }
  const algorithm = (name: string) =>
    rawSigned(
      unsigned,
      field("authorization", (value) => value.replace("SDK-HMAC-SHA256", name)),
    );
  for (const name of ["none", "SDK-HMAC-SHA1", "sdk-hmac-sha256", "SDK-HMAC-SHA256-SHORT", "Basic"]) {
    expect(await send(algorithm(name)), name).toEqual(REFUSED);
  }
  // Longer than a head may be.
  expect(await send(spelled((hex) => hex.repeat(16_384)))).toMatchObject({ status: 431, reached: false });
});

test("an unknown key and a wrong secret get the same reply; old and new secrets are valid until one is removed", async () => {
  const rotating = { key: "rotating", secret: ["new-secret", "old-secret"] };
  const { unsigned, send } = await startSigned({ apps: ["web-client", "rotating"] }, { rotating });
  const by = (key: string, secret: string) => rawSigned(unsigned, { app: { key, secret } });
  expect(await send(by("nobody", WEB_CLIENT.secret))).toEqual(REFUSED);
  expect(await send(by(WEB_CLIENT.key, "wrong"))).toEqual(REFUSED);
  expect(await send(by(WEB_CLIENT.key, ""))).toEqual(REFUSED);
  expect(await send(by("rotating", "new-secret"))).toMatchObject(SERVED);
  expect(await send(by("rotating", "old-secret"))).toMatchObject(SERVED);

  const after = await startSigned(
    { apps: ["web-client", "rotating"] },
    { rotating: { ...rotating, secret: "new-secret" } },
  );
  const later = (secret: string) => rawSigned(after.unsigned, { app: { key: "rotating", secret } });
  expect(await after.send(later("new-secret"))).toMatchObject(SERVED);
  expect(await after.send(later("old-secret"))).toEqual(REFUSED);
});

test("an unknown key costs as many signatures as a known key", async () => {
  const { AppKeys } = await import("../../src/auth/app-signature.ts");
  const keys = new AppKeys([{ name: "a", key: "a", secret: ["s"], appCodes: [] }]);
  expect(keys.find("nobody").secrets).toHaveLength(keys.find("a").secrets.length);
  // The secret that an unknown key is checked against cannot be guessed; it is not empty.
  const guess = createHmac("sha256", "").update("x").digest("hex");
  for (const secret of keys.find("nobody").secrets) {
    expect(createHmac("sha256", secret).update("x").digest("hex")).not.toBe(guess);
  }
});
