import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { type GatewayFixture, startGateway } from "../support/gateway.ts";
import { type Issuer, startIssuer } from "../support/issuer.ts";
import { startRedis } from "../support/redis.ts";
import { event, idsOf, type Polled, QUICK } from "../support/shared.ts";
import { openStream, type StreamClient } from "../support/sse-client.ts";

/** A verified client tries to read another's data in every way: histories, polls, tickets and Redis. */

const CODE = "code-of-the-app-anna-".padEnd(64, "0");
/** An app with the name of an issuer's subject, and subjects spelled like others' keys. */
const apps = { anna: { key: "anna", secret: "secret-of-anna", appCodes: [CODE] } };
const SUBJECTS = ["anna", "app:anna", 'jwt:["https://id.test","anna"]', "", "otto", "anna,otto", "ANNA"];

interface Person {
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The app's own field, and one of the token's. */
const nameIn = (fields: readonly (readonly [string, string])[]) =>
  fields
    .filter(([name]) => /^x-(?:app-id|user)$/i.test(name))
    .map(([name, value]) => `${name.toLowerCase()}=${value}`)
    .join();

async function startPersonal(server: Readonly<Record<string, unknown>> = {}, instances = 1) {
  const [issuer, backend] = await Promise.all([
    startIssuer(),
    startBackend((request) => {
      request.openStream();
      const whose = nameIn(request.head.fields);
      for (const n of [1, 2, 3]) request.emit(event(`secret ${n} of ${whose}!`));
    }),
  ]);
  const setup = {
    apps,
    server,
    routes: {
      main: {
        match: { path: "/*" },
        upstream: backend.url,
        auth: { appCode: true, jwt: issuer.config({ claims: { "X-User": "sub" } }), ticket: {} },
        shared: { ...QUICK, by: ["path", "query", "principal"] },
      },
    },
  };
  const gateways = await Promise.all(Array.from({ length: instances }, () => startGateway(setup)));
  return { issuer, backend, gateways, gateway: gateways[0] as GatewayFixture };
}

async function peopleOf(issuer: Issuer): Promise<Person[]> {
  const people = await Promise.all(
    SUBJECTS.filter((sub) => sub !== "").map(async (sub) => ({
      name: `x-user=${sub}`,
      headers: { Authorization: `Bearer ${await issuer.token({ claims: { sub } })}` },
    })),
  );
  return [{ name: "x-app-id=anna", headers: { "X-Apig-AppCode": CODE } }, ...people];
}

const listen = (port: number, headers: Readonly<Record<string, string>>, path = "/news"): StreamClient =>
  openStream(port, { path, headers });

/** Both instances belong to one service with one name. */
const HOST = { Host: "service.example" };
const GONE = { "Last-Event-ID": "gone" };

/** Returns the principals whose secrets a text contains. */
const ownersIn = (text: string): string[] => [
  ...new Set([...text.matchAll(/secret \d of (.*?)!/g)].map(([, whose = ""]) => whose)),
];

test("each principal has its own stream and history, whatever its name is", async () => {
  const { issuer, backend, gateway } = await startPersonal();
  const people = await peopleOf(issuer);
  const clients = people.map(({ headers }) => listen(gateway.port, headers));
  for (const [at, client] of clients.entries()) {
    await client.received(`secret 3 of ${people[at]?.name}!`);
    expect(ownersIn(client.text)).toEqual([people[at]?.name]);
  }
  expect(backend.requests).toHaveLength(people.length);
});

test("an id from another principal's history finds none of its events, on a stream or by polling", async () => {
  const { issuer, gateway } = await startPersonal();
  const people = await peopleOf(issuer);
  const [anna, thief] = people as [Person, Person];
  const own = listen(gateway.port, anna.headers);
  await own.received("secret 3");
  for (const id of idsOf(own)) {
    const stream = listen(gateway.port, { ...thief.headers, "Last-Event-ID": id });
    await stream.received("secret 3");
    expect(stream.text).toContain("sluice.gap");
    expect(stream.field("sluice-resumed-from")).toMatch(/^(?:earliest|live)$/);
    expect(ownersIn(stream.text)).toEqual([thief.name]);
    for (const transport of ["polling", "long-polling"]) {
      const query = new URLSearchParams({ transport, lastEventId: id });
      const response = await fetch(`${gateway.url}/news?${query}`, {
        headers: thief.headers,
      });
      const answer = (await response.json()) as Polled;
      expect(answer.gap).toBe(true);
      expect(ownersIn(JSON.stringify(answer))).not.toContain(anna.name);
    }
  }
});

test("no field that a client may send makes it another principal", async () => {
  const { issuer, gateway } = await startPersonal();
  const [anna, thief] = (await peopleOf(issuer)) as [Person, Person];
  await listen(gateway.port, anna.headers).received("secret 3");
  const disguises: Readonly<Record<string, string>>[] = [
    { "X-App-Id": "anna" },
    { X_App_Id: "anna" },
    { "X-User": "anna" },
    { "X-Forwarded-User": "anna", Forwarded: "for=anna" },
    { Cookie: "session=anna" },
  ];
  for (const disguise of disguises) {
    const client = listen(gateway.port, { ...thief.headers, ...GONE, ...disguise });
    await client.received("secret 3");
    expect(ownersIn(client.text), JSON.stringify(disguise)).toEqual([thief.name]);
  }
  for (const path of ["/news?", "/news?principal=app:anna", "/news?ticket", "/./news", "/news/"]) {
    const client = listen(gateway.port, { ...thief.headers, ...GONE }, path);
    const { status } = await client.opened();
    if (status === 200) await client.received("secret 3");
    expect(ownersIn(client.text), path).not.toContain(anna.name);
  }
});

test("a ticket opens the stream and history of its principal, once, on its path", async () => {
  const { issuer, backend, gateway } = await startPersonal();
  const [anna, thief] = (await peopleOf(issuer)) as [Person, Person];
  const own = listen(gateway.port, anna.headers);
  await own.received("secret 3");
  const [firstId = ""] = idsOf(own);
  const ticketOf = async ({ headers }: Person) => {
    const answer = await fetch(`${gateway.url}/news?ticket`, { method: "POST", headers });
    const { ticket } = (await answer.json()) as { ticket: string };
    return ticket;
  };
  const resumed = (ticket: string, path = "/news") =>
    listen(gateway.port, {}, `${path}?${new URLSearchParams({ ticket, lastEventId: firstId })}`);

  const mine = await ticketOf(anna);
  const back = resumed(mine);
  await back.received("secret 3");
  expect(back.field("sluice-resumed-from")).toBe(firstId);
  expect(ownersIn(back.text)).toEqual([anna.name]);
  // After the ticket was removed from the query, the existing stream is used.
  expect(backend.requests).toHaveLength(1);

  expect((await resumed(mine).opened()).status).toBe(401);
  expect((await resumed(await ticketOf(anna), "/other").opened()).status).toBe(401);
  const other = resumed(await ticketOf(thief));
  await other.received("secret 3");
  expect(other.text).toContain("sluice.gap");
  expect(ownersIn(other.text)).toEqual([thief.name]);
  // A ticket beside another credential is refused: the request could be read as either.
  const both = listen(gateway.port, thief.headers, `/news?ticket=${await ticketOf(anna)}`);
  expect((await both.opened()).status).toBe(401);
});

test("another instance resumes a principal through Redis, but no other client with its id", async () => {
  const redis = await startRedis();
  const { issuer, backend, gateways } = await startPersonal(
    // Longer than this process may stand still: no instance may take the backend request over.
    { redis: { url: redis.url, lease: "10s", timeout: "5s" } },
    2,
  );
  const [a, b] = gateways as [GatewayFixture, GatewayFixture];
  const [anna, thief] = (await peopleOf(issuer)) as [Person, Person];
  const own = listen(a.port, { ...HOST, ...anna.headers });
  await own.received("secret 3");
  const [firstId = ""] = idsOf(own);
  const resumed = listen(b.port, { ...HOST, ...anna.headers, "Last-Event-ID": firstId });
  await resumed.received("secret 3");
  expect(resumed.field("sluice-resumed-from")).toBe(firstId);
  expect(ownersIn(resumed.text)).toEqual([anna.name]);
  const other = listen(b.port, { ...HOST, ...thief.headers, "Last-Event-ID": firstId });
  await other.received("secret 3");
  expect(other.text).toContain("sluice.gap");
  expect(ownersIn(other.text)).toEqual([thief.name]);
  expect(backend.requests).toHaveLength(2);
  // The names of keys do not reveal the principals.
  expect((await redis.client.keys("*")).join()).not.toMatch(/anna|otto|id\.test/);
});
