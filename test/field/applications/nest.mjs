import "reflect-metadata";
import { Controller, Module, Sse } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import express from "express";
import { from, map } from "rxjs";
import { STYLE, visit } from "../visit.mjs";

export const packages = ["@nestjs/core"];
export const label = "NestJS with `@Sse`";
export const checks = visit;

/** Decorators as calls: Node does not read their syntax. */
function decorate(target, method, ...decorators) {
  for (const decorator of decorators)
    decorator(target.prototype, method, Object.getOwnPropertyDescriptor(target.prototype, method));
}

export async function backend(script) {
  class Tokens {
    events() {
      return from(script.round.tokens()).pipe(map((data) => ({ data })));
    }
  }
  Controller()(Tokens);
  decorate(Tokens, "events", Sse("/"));
  class Root {}
  Module({ controllers: [Tokens] })(Root);
  const app = await NestFactory.create(Root, { logger: false });
  app.use("/style.css", (_request, response) => response.type("css").send(STYLE));
  app.use("/login", express.urlencoded(), ({ body }, response) =>
    response.cookie("user", body.user).redirect(303, "/me"),
  );
  app.use("/me", ({ headers }, response) => response.send(`Hello ${headers.cookie?.split("=")[1]}`));
  app.use("/old", ({ protocol, headers }, response) => response.redirect(`${protocol}://${headers.host}/me`));
  app.use("/upload", express.text({ limit: "1mb" }), ({ body }, response) => response.send(`${body.length}`));
  await app.init();
  return app.getHttpServer();
}
