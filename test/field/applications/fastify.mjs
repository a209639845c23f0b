import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import Fastify from "fastify";
import { STYLE, visit } from "../visit.mjs";

export const label = "Fastify";
export const checks = visit;

const ETAG = `"${createHash("sha1").update(STYLE).digest("hex")}"`;

export async function backend(script) {
  const app = Fastify();
  app.addContentTypeParser(
    "application/x-www-form-urlencoded",
    { parseAs: "string" },
    (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(body))),
  );
  app.get("/", (_request, reply) => reply.type("text/html").send(Readable.from(script.round.tokens())));
  app.get("/style.css", ({ headers }, reply) => {
    reply.header("etag", ETAG).type("text/css");
    return headers["if-none-match"] === ETAG ? reply.code(304).send() : reply.send(STYLE);
  });
  app.post("/login", ({ body }, reply) =>
    reply.header("set-cookie", `user=${body.user}; HttpOnly; Path=/`).redirect("/me", 303),
  );
  app.get("/me", ({ headers }) => `Hello ${headers.cookie?.split("=")[1]}`);
  app.get("/old", ({ protocol, host }, reply) => reply.redirect(`${protocol}://${host}/me`));
  app.post("/upload", ({ body }) => `${body.length}`);
  await app.ready();
  return app.server;
}
