import { expect, test } from "vitest";
import { type BackendConnection, type BackendRequest, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGatewayTo } from "../support/gateway.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { openRaw } from "../support/raw-client.ts";

/**
 * Starts a backend that authenticates connections as NTLM does: `hello` is challenged, `NAME` after that makes the
 * connection NAME's, and every later request on it is answered with NAME.
 */
function startNtlmBackend(scheme = "NTLM") {
  const states = new WeakMap<BackendConnection, string>();
  const refuse = (request: BackendRequest, challenge: string) =>
    request.respond(401, { "WWW-Authenticate": [`Basic realm="x"`, challenge] }, "who are you");
  return startBackend((request) => {
    const { connection } = request;
    const [, step] = (request.field("authorization") ?? "").split(" ");
    const state = states.get(connection);
    if (step === "hello") {
      states.set(connection, "");
      refuse(request, `${scheme} challenge`);
    } else if (step !== undefined && state === "") {
      states.set(connection, step);
      request.respond(200, {}, step);
    } else if (step === undefined && state) request.respond(200, {}, state);
    else refuse(request, scheme);
  });
}

/** A client that sends one request after the other on one connection; returns their bodies. */
interface Client {
  ask(authorization?: string): Promise<string>;
  leave(): void;
}

const bodyOf = (text: string): string | undefined => /\r\n\r\n([a-z ]+)$/.exec(text)?.[1];

async function overHttp1(
  { port }: GatewayFixture,
  request: string,
  fields: string,
  body = "",
): Promise<Client> {
  const client = await openRaw(port);
  return {
    async ask(authorization) {
      const credential = authorization === undefined ? "" : `Authorization: ${authorization}\r\n`;
      const seen = client.text.length;
      client.send(`${request} / HTTP/1.1\r\nHost: x\r\n${fields}${credential}\r\n${body}`);
      return eventually(() => bodyOf(client.text.slice(seen)), "a response") as Promise<string>;
    },
    leave: () => client.leave(),
  };
}

async function overHttp2({ port }: GatewayFixture): Promise<Client> {
  const client = await openHttp2(port);
  return {
    async ask(authorization) {
      const exchange = client.request(authorization === undefined ? {} : { authorization });
      await exchange.closed();
      return exchange.text;
    },
    leave: () => client.session.destroy(),
  };
}

const WAYS: readonly [name: string, (gateway: GatewayFixture) => Promise<Client>, isHttp2?: boolean][] = [
  ["GET, by the fast path", (gateway) => overHttp1(gateway, "GET", "")],
  ["POST, by node:http", (gateway) => overHttp1(gateway, "POST", "Content-Length: 2\r\n", "{}")],
  [
    "a chunked POST",
    (gateway) => overHttp1(gateway, "POST", "Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
  ],
  ["HTTP/2", overHttp2, true],
];

test.each(["NTLM", "Negotiate"])(
  "a named POST authenticates a connection by %s for its own client only",
  async (scheme) => {
    const backend = await startNtlmBackend(scheme);
    const gateway = await startGatewayTo(backend.url, { resume: { by: ["header:X-User"] } });
    const fields = (key: string) => `X-User: ann\r\nIdempotency-Key: ${key}\r\nContent-Length: 2\r\n`;
    const open = (key: string) => overHttp1(gateway, "POST", fields(key), "{}");
    const [alice, stranger] = [await open("a"), await open("b")];
    expect(await alice.ask(`${scheme} hello`)).toBe("who are you");
    expect(await alice.ask(`${scheme} alice`)).toBe("alice");
    for (let n = 0; n < 3; n++) {
      expect(await stranger.ask()).toBe("who are you");
      expect(await alice.ask()).toBe("alice");
    }
  },
);

for (const [name, open, isHttp2] of WAYS) {
  for (const scheme of ["NTLM", "Negotiate"]) {
    test(`a connection that ${scheme} has authenticated serves its own client only: ${name}`, async () => {
      const backend = await startNtlmBackend(scheme);
      const gateway = await (isHttp2 ? startSecureGatewayTo : startGatewayTo)(backend.url);
      const [alice, bob, stranger] = [await open(gateway), await open(gateway), await open(gateway)];
      expect(await alice.ask(`${scheme} hello`)).toBe("who are you");
      expect(await bob.ask(`${scheme} hello`)).toBe("who are you");
      expect(await alice.ask(`${scheme} alice`)).toBe("alice");
      expect(await bob.ask(`${scheme} bob`)).toBe("bob");
      for (let n = 0; n < 5; n++) {
        expect([await stranger.ask(), await bob.ask(), await alice.ask()]).toEqual([
          "who are you",
          "bob",
          "alice",
        ]);
      }
      const connectionOf = (user: string) =>
        backend.connections.find(({ requests }) =>
          requests.some((request) => request.field("authorization") === `${scheme} ${user}`),
        );
      expect(connectionOf("alice")?.requests).toHaveLength(7);
      alice.leave();
      await eventually(
        () => connectionOf("alice")?.isOpen === false,
        "the end of the connection of the client that left",
      );
      expect(connectionOf("bob")?.isOpen).toBe(true);
      expect([await bob.ask(), await stranger.ask()]).toEqual(["bob", "who are you"]);
    });
  }
}

test("the challenge alone pins a connection: the steps of a handshake reach the same backend of a pool", async () => {
  const backends = [await startNtlmBackend(), await startNtlmBackend(), await startNtlmBackend()];
  const upstream = { backends: backends.map(({ url }) => ({ url })), balance: "roundRobin" };
  const gateway = await startGatewayTo("", { upstream });
  const [alice, bob] = [await overHttp1(gateway, "GET", ""), await overHttp1(gateway, "GET", "")];
  const answers: string[] = [];
  for (const step of [undefined, "NTLM hello", "NTLM"]) {
    answers.push(await alice.ask(step === "NTLM" ? "NTLM alice" : step));
    answers.push(await bob.ask(step === "NTLM" ? "NTLM bob" : step));
  }
  expect(answers.slice(-2)).toEqual(["alice", "bob"]);
  expect(backends.flatMap(({ connections }) => connections)).toHaveLength(2);
});

test("a proxy's connection that changes its client loses the authenticated one", async () => {
  const backend = await startNtlmBackend();
  const gateway = await startGatewayTo(backend.url, {}, { trustedProxies: ["127.0.0.1"] });
  const proxy = await openRaw(gateway.port);
  const ask = async (address: string, authorization = "") => {
    const seen = proxy.text.length;
    proxy.send(`GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ${address}\r\n${authorization}\r\n`);
    return eventually(() => bodyOf(proxy.text.slice(seen)), "a response");
  };
  await ask("192.0.2.1", "Authorization: NTLM hello\r\n");
  expect(await ask("192.0.2.1", "Authorization: NTLM alice\r\n")).toBe("alice");
  expect(await ask("192.0.2.1")).toBe("alice");
  expect(await ask("192.0.2.2")).toBe("who are you");
  expect(await ask("192.0.2.1")).toBe("who are you");
});

test("with keepAlive: off not even an authenticated connection is used again", async () => {
  const backend = await startNtlmBackend();
  const gateway = await startGatewayTo("", {
    upstream: { backends: [{ url: backend.url }], keepAlive: "off" },
  });
  const alice = await overHttp1(gateway, "GET", "");
  await alice.ask("NTLM hello");
  await alice.ask("NTLM alice");
  expect(backend.connections.map(({ requests }) => requests.length)).toEqual([1, 1]);
});
