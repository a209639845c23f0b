import { expect, test } from "vitest";
import { type Backend, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGateway } from "../support/gateway.ts";
import { type Issuer, startIssuer } from "../support/issuer.ts";

const CODE = "canary-app-code-".repeat(5);
const SECRET = "canary-app-secret";

async function start(backend: Backend, issuer: Issuer): Promise<GatewayFixture> {
  return startGateway({
    apps: { shop: { key: "shop", secret: SECRET, appCodes: [CODE] } },
    routes: {
      main: {
        match: { path: "/*" },
        upstream: backend.url,
        cors: true,
        auth: { appCode: true, jwt: issuer.config({ cookie: "session" }), ticket: {} },
      },
    },
  });
}

test("no credential, used rightly or wrongly, is in a log line, a response or the backend's request", async () => {
  const backend = await startBackend((request) => {
    if (request.target.startsWith("/break")) request.connection.socket.destroy();
    else request.respond(200, { "Content-Type": "text/plain" }, "served");
  });
  const issuer = await startIssuer();
  const gateway = await start(backend, issuer);
  const token = await issuer.token();
  const expired = await issuer.token({ expiresIn: -5 });
  const answers: string[] = [];
  const send = async (path: string, headers: Record<string, string> = {}, method = "GET") => {
    const response = await fetch(`${gateway.url}${path}`, { method, headers });
    const body = await response.text();
    answers.push(JSON.stringify([...response.headers]) + (response.status === 201 ? "" : body));
    return body;
  };
  const authorization = `Bearer ${token}`;
  const ticketFor = async (path: string): Promise<string> =>
    (JSON.parse(await send(`${path}?ticket`, { authorization }, "POST")) as { ticket: string }).ticket;
  const tickets = [
    await ticketFor("/feed"),
    await ticketFor("/break"),
    await ticketFor("/feed"),
    "canary-ticket",
  ];
  const [first = "", breaking = "", unused = "", bad = ""] = tickets;

  await send(`/feed?a=1&ticket=${first}`, { referer: `${gateway.url}/feed?ticket=${unused}` });
  await send(`/feed?ticket=${first}`);
  await send(`/break?ticket=${breaking}`);
  await send(`/feed?ticket=${bad}`);
  await send(`/feed?ticket=${unused}%`);
  await send("/feed", { authorization });
  await send("/feed", { authorization: `Bearer ${expired}` });
  await send("/feed", { cookie: `session=${expired}` });
  await send("/feed", { "X-Apig-AppCode": CODE });
  await send("/feed", { "X-Apig-AppCode": `${CODE}x` });
  await send("/feed", { "X-Apig-AppCode": CODE, authorization });
  await eventually(() => gateway.requestLines().length >= 14, "the log lines");

  const heard = backend.requests.map(({ head }) => JSON.stringify(head.fields) + head.target).join("\n");
  const places = { log: JSON.stringify(gateway.log), answers: answers.join("\n"), backend: heard };
  const secrets = [token, expired, CODE, SECRET, first, breaking, bad];
  for (const [place, text] of Object.entries(places)) {
    for (const secret of secrets)
      expect(text.includes(secret), `${secret.slice(0, 20)} in ${place}`).toBe(false);
  }
  // The signature alone would be enough for a forger who knows the rest.
  const signatures = [token, expired].map((whole) => whole.split(".")[2] ?? "");
  for (const signature of signatures) expect(places.log).not.toContain(signature);
  // The client's own Referer reaches the backend unchanged, but no log line.
  expect(places.log).not.toContain(unused);
  // Control: the log lines exist and contain the reason.
  expect(places.log).toContain("unknown or used ticket");
  expect(places.log).toContain("/feed");
});
