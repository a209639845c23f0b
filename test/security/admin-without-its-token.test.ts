import { expect, test } from "vitest";
import { type AdminAnswer, askAdmin, startWithAdmin } from "../support/admin.ts";

const TOKEN = "correct-horse-battery-staple";

const start = () =>
  startWithAdmin({
    routes: { main: { match: { path: "/*" }, mock: { status: 200 } } },
    server: { adminToken: TOKEN },
  });

const bearer = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } });
const cookieOf = ({ headers }: AdminAnswer): string => String(headers["set-cookie"]).split(";")[0] ?? "";
const FORM = { "Content-Type": "application/x-www-form-urlencoded" };

test("without the right token only liveness and readiness can be read", async () => {
  const gateway = await start();
  for (const path of ["/metrics", "/api/streams", "/api/events"]) {
    for (const ask of [
      {},
      bearer("wrong"),
      bearer(""),
      bearer(`${TOKEN}x`),
      { headers: { Authorization: TOKEN } },
      { headers: { Cookie: `sluice_admin_${new URL(gateway.adminUrl).port}=9999999999.forged` } },
    ]) {
      const answer = await askAdmin(gateway, path, ask);
      expect([answer.status, answer.headers["www-authenticate"]]).toEqual([401, "Bearer"]);
      expect(answer.text).toBe('{"error":"token required"}\n');
    }
  }
  const end = await askAdmin(gateway, "/api/streams/x/end", { method: "POST" });
  expect(end.status).toBe(401);
  expect((await askAdmin(gateway, `/metrics?token=${TOKEN}`)).status).toBe(401);
  const page = await askAdmin(gateway, "/");
  expect(page.status).toBe(401);
  expect(page.text).toContain('action="/sign-in"');
  expect((await askAdmin(gateway, "/healthz")).status).toBe(200);
  expect((await askAdmin(gateway, "/readyz")).status).toBe(200);
  expect((await askAdmin(gateway, "/metrics", bearer(TOKEN))).status).toBe(200);
});

test("a form accepts the token once and sets a cookie that no script can read", async () => {
  const gateway = await start();
  const signIn = (token: string, headers: Record<string, string> = {}) =>
    askAdmin(gateway, "/sign-in", {
      method: "POST",
      headers: { ...FORM, ...headers },
      body: new URLSearchParams({ token }).toString(),
    });
  const wrong = await signIn("wrong");
  expect([wrong.status, wrong.headers["set-cookie"]]).toEqual([401, undefined]);
  expect(wrong.text).toMatch(/<p class="wrong" role="alert" >/);
  const foreign = await signIn(TOKEN, { Origin: "https://evil.example" });
  expect([foreign.status, foreign.headers["set-cookie"]]).toEqual([403, undefined]);

  const right = await signIn(TOKEN);
  expect([right.status, right.headers["location"]]).toEqual([303, "/"]);
  expect(String(right.headers["set-cookie"])).toMatch(/; HttpOnly; SameSite=Strict; Path=\/; Max-Age=43200$/);
  const Cookie = cookieOf(right);
  expect(Cookie).not.toContain(TOKEN);
  const page = await askAdmin(gateway, "/", { headers: { Cookie } });
  expect([page.status, page.text.includes("Open streams")]).toEqual([200, true]);

  // A forged later expiry is not signed.
  const [name = "", value = ""] = Cookie.split("=");
  const [expiresAt = "", signature = ""] = value.split(".");
  for (const forged of [
    `${Number(expiresAt) + 1}.${signature}`,
    `${expiresAt}.${signature}x`,
    `${expiresAt}.`,
    "",
  ]) {
    const answer = await askAdmin(gateway, "/metrics", { headers: { Cookie: `${name}=${forged}` } });
    expect(answer.status).toBe(401);
  }
});
