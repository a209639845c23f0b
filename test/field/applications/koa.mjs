import { createServer } from "node:http";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import Koa from "koa";
import { STYLE, visit } from "../visit.mjs";

export const label = "Koa";
export const checks = visit;

export function backend(script) {
  const routes = {
    "GET /": (ctx) => {
      ctx.type = "html";
      ctx.body = Readable.from(script.round.tokens());
    },
    "GET /style.css": (ctx) => {
      ctx.type = "css";
      ctx.body = STYLE;
      ctx.etag = `${STYLE.length}`;
      if (ctx.fresh) ctx.status = 304;
    },
    "POST /login": async (ctx) => {
      ctx.cookies.set("user", new URLSearchParams(await text(ctx.req)).get("user"));
      ctx.redirect("/me");
    },
    "GET /me": (ctx) => {
      ctx.body = `Hello ${ctx.cookies.get("user")}`;
    },
    "GET /old": (ctx) => ctx.redirect(`${ctx.protocol}://${ctx.host}/me`),
    "POST /upload": async (ctx) => {
      ctx.body = `${(await text(ctx.req)).length}`;
    },
  };
  const app = new Koa();
  app.use(async (ctx) => {
    // A new status comes first: a body sets 200 only if none is set.
    if (`${ctx.method} ${ctx.path}` in routes) ctx.status = 200;
    await routes[`${ctx.method} ${ctx.path}`]?.(ctx);
  });
  return createServer(app.callback());
}
