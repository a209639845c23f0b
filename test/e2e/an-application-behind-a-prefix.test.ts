import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { attempt } from "../support/command.ts";
import { startGateway } from "../support/gateway.ts";
import { startNginx } from "../support/nginx.ts";
import { BUILDS } from "../support/nginx-lab.ts";

type Request = IncomingMessage & { get(name: string): string };
type Response = ServerResponse & {
  cookie(name: string, value: string, options: Readonly<Record<string, unknown>>): void;
  redirect(url: string): void;
  send(text: string): void;
};
type Express = RequestListener & { get(path: string, answer: (req: Request, res: Response) => void): void };

const require = createRequire(import.meta.url);
const express = require("express") as () => Express;

/** Starts an Express application that writes its own host into redirects and cookies, and knows of no prefix. */
async function startApplication(): Promise<string> {
  const app = express();
  app.get("/account", (req, res) => {
    if (/sid=1/.test(req.get("cookie") ?? "")) res.send("welcome");
    else res.redirect(`http://${req.get("host")}/login?back=1`);
  });
  app.get("/login", (req, res) => {
    res.cookie("sid", "1", { path: "/account", domain: "backend.internal", httpOnly: true });
    res.redirect(`http://${req.get("host")}/account`);
  });
  const server = createServer(app).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  afterTest(() => {
    server.close().closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function startInFrontOf(url: string, cookies: Readonly<Record<string, unknown>>) {
  const upstream = { backends: [{ url }], hostHeader: "backend" };
  const rewrite = { stripPrefix: "/app", cookies };
  return await startGateway({ routes: { main: { match: { path: "/app/*" }, upstream, rewrite } } });
}

/** Logs in with curl, which follows redirects and keeps cookies as a browser does. */
const logIn = async (url: string): Promise<string> =>
  (await attempt("curl", ["-sL", "--max-redirs", "5", "-b", "", `${url}/app/account`])).stdout;

const KEYS = { domain: "remove", path: "auto" };

test("a login with redirects and a cookie works behind stripPrefix", async () => {
  const url = await startApplication();
  expect(await logIn((await startInFrontOf(url, KEYS)).url)).toBe("welcome");
  // The control: the cookie of the backend's path and domain is not sent back.
  for (const key of Object.keys(KEYS)) {
    const incomplete = await startInFrontOf(url, { ...KEYS, [key]: undefined });
    expect(await logIn(incomplete.url), key).not.toBe("welcome");
  }
});

test.each(BUILDS.map(({ version, path }) => [version, path] as const))(
  "the same login works through nginx %s in front, as with the directives of nginx without sluice",
  async (_version, executable) => {
    const url = await startApplication();
    const gateway = await startInFrontOf(url, KEYS);
    const front = await startNginx({ upstream: gateway.host, executable });
    expect(await logIn(front.url)).toBe("welcome");
    const text = `server { listen \${PLAIN_LISTEN}; location /app/ { proxy_pass http://\${SLUICE_UPSTREAM}/;
      proxy_cookie_domain backend.internal $host; proxy_cookie_path / /app/; } }`;
    const upstream = new URL(url).host;
    const alone = await startNginx({ template: { text }, upstream, executable });
    expect(await logIn(alone.url)).toBe("welcome");
  },
);
