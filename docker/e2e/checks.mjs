import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { request } from "node:http";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";

/**
 * The end-to-end checks, against nginx and sluice in their containers.
 *
 * No check measures time. The backend sends an event only after the client has confirmed the previous event, so a
 * hop that holds events back stops the check instead of slowing it.
 */
const sites = (process.env.SITES ?? "").split(" ");
const scripted = process.env.SCRIPTED;
const ORIGIN = "https://app.example.com";
const DEADLINE_MS = Number(process.env.DEADLINE_MS ?? 10_000);

const newName = () => randomUUID();

const control = async (what, name, data = "") => {
  const answer = await fetch(`${scripted}/control/${what}?name=${name}&data=${encodeURIComponent(data)}`);
  return answer.json();
};

const until = async (probe, what) => {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await probe())) {
    if (Date.now() > deadline) assert.fail(`${what} did not come within ${DEADLINE_MS} ms`);
    await delay(10);
  }
};

/** Sends a request and reads its response incrementally. */
const open = (url, { method = "GET", headers = {}, body } = {}) => {
  const client = { text: "", isWhole: false, isBroken: false, status: 0, headers: {} };
  const req = request(url, { method, headers, agent: false }, (res) => {
    client.status = res.statusCode;
    client.headers = res.headers;
    res.setEncoding("utf8");
    res.on("data", (piece) => {
      client.text += piece;
    });
    res.once("end", () => {
      client.isWhole = true;
    });
    res.once("error", () => {
      client.isBroken = true;
    });
  });
  req.once("error", () => {
    client.isBroken = true;
  });
  client.leave = () => req.destroy();
  client.received = (text) => until(() => client.text.includes(text), `${JSON.stringify(text)} from ${url}`);
  req.end(body);
  return client;
};

const openStream = async (site, options) => {
  const name = newName();
  const client = open(`${site}/e2e/stream?name=${name}`, options);
  await until(async () => (await control("state", name)).isKnown, "the request at the backend");
  // The head and sluice's first comment arrive before the backend sends any event.
  await client.received(":\n");
  return { name, client };
};

for (const site of sites) {
  for (const method of ["GET", "POST"]) {
    test(`${site}: the events of a ${method} arrive one by one`, async () => {
      const body = method === "POST" ? '{"prompt":"hello"}' : undefined;
      const { name, client } = await openStream(site, { method, body });
      assert.equal(client.status, 200);
      assert.equal(client.headers["content-type"], "text/event-stream");
      assert.equal(client.headers["cache-control"], "no-cache, no-transform");
      for (let number = 1; number <= 20; number += 1) {
        await control("emit", name, `event ${number}`);
        await client.received(`data: event ${number}\n\n`);
      }
      const { body: sent } = (await control("seen")).find(({ target }) => target.includes(name));
      assert.equal(sent, body ?? "");
      await control("end", name);
      await until(() => client.isWhole, "a clean end");
    });
  }

  test(`${site}: a client that disconnects cancels the backend's request`, async () => {
    const { name, client } = await openStream(site);
    assert.equal((await control("state", name)).isOpen, true);
    client.leave();
    await until(async () => !(await control("state", name)).isOpen, "the end of the backend's request");
  });

  test(`${site}: a preflight is answered by sluice and never reaches the backend`, async () => {
    const before = (await control("seen")).length;
    const preflight = open(`${site}/e2e/json`, {
      method: "OPTIONS",
      headers: { Origin: ORIGIN, "Access-Control-Request-Method": "POST" },
    });
    await until(() => preflight.isWhole, "the response to a preflight");
    assert.ok(preflight.status === 200 || preflight.status === 204, `status ${preflight.status}`);
    assert.equal(preflight.headers["access-control-allow-origin"], ORIGIN);
    assert.match(preflight.headers["access-control-allow-methods"], /\bPOST\b/);
    assert.equal((await control("seen")).length, before);
  });

  test(`${site}: a response and an error carry the CORS fields once, but not for a foreign page`, async () => {
    const { client } = await openStream(site, { headers: { Origin: ORIGIN } });
    assert.equal(client.headers["access-control-allow-origin"], ORIGIN);
    client.leave();
    const foreign = await openStream(site, { headers: { Origin: "https://evil.example" } });
    assert.notEqual(foreign.client.headers["access-control-allow-origin"], "https://evil.example");
    assert.notEqual(foreign.client.headers["access-control-allow-origin"], "*");
    foreign.client.leave();
  });

  test(`${site}: ordinary JSON arrives complete`, async () => {
    const answer = await fetch(`${site}/e2e/json`);
    assert.equal(answer.headers.get("content-type"), "application/json");
    assert.equal(await answer.text(), '{"answer":42}');
  });

  test(`${site}: the sample clock streams`, async () => {
    const client = open(`${site}/stream`);
    await client.received("data: ");
    const ticks = () => client.text.match(/^data: \d{4}-/gm)?.length ?? 0;
    await until(() => ticks() >= 2, "two ticks");
    assert.equal(client.isWhole, false);
    client.leave();
  });
}

// On the recommended site nginx uses HTTP/1.1 to sluice: only there an aborted stream differs from a complete one.
test("recommended: an aborted stream does not look complete", async () => {
  const { name, client } = await openStream(sites.at(-1));
  await control("cut", name);
  await client.received("data: half");
  await until(() => client.isBroken || client.isWhole, "the end of an aborted stream");
  assert.equal(client.isBroken, true);
  assert.equal(client.isWhole, false);
});

test("recommended: sluice trusts only nginx's fields about the client", async () => {
  const answer = await fetch(`${sites.at(-1)}/e2e/json?trust`, {
    headers: { "X-Forwarded-For": "203.0.113.9" },
  });
  await answer.text();
  const { headers } = (await control("seen")).find(({ target }) => target.endsWith("?trust"));
  assert.equal(headers["x-forwarded-for"].includes("203.0.113.9"), false);
  assert.equal(headers["x-forwarded-proto"], "http");
  assert.equal(headers["x-forwarded-host"], new URL(sites.at(-1)).host);
});
