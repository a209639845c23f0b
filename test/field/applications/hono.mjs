import { createServer } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { etag } from "hono/etag";
import { stream } from "hono/streaming";
import { STYLE, visit } from "../visit.mjs";

export const label = "Hono";
export const checks = visit;

export function backend(script) {
  const app = new Hono();
  app.get("/", (c) => {
    c.header("content-type", "text/html; charset=utf-8");
    return stream(c, async (out) => {
      for await (const token of script.round.tokens()) await out.write(`<p>${token}</p>`);
    });
  });
  app.get("/style.css", etag(), (c) => c.body(STYLE, 200, { "content-type": "text/css" }));
  app.post("/login", async (c) => {
    setCookie(c, "user", (await c.req.parseBody()).user, { httpOnly: true });
    return c.redirect("/me", 303);
  });
  app.get("/me", (c) => c.text(`Hello ${getCookie(c, "user")}`));
  app.get("/old", (c) => c.redirect(new URL("/me", c.req.url).href));
  app.post("/upload", async (c) => c.text(`${(await c.req.text()).length}`));
  return createServer(getRequestListener(app.fetch));
}
