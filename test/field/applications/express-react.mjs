import { createServer } from "node:http";
import express from "express";
import { createElement as h, Suspense, use } from "react";
import { renderToPipeableStream } from "react-dom/server";
import { partsOf } from "../parts.mjs";
import { STYLE, visit } from "../visit.mjs";

export const packages = ["express", "react-dom"];
export const label = "React 19 streamed by Express";
export const checks = visit;

const Part = ({ promise }) => h("p", null, use(promise));
const waiting = h("i", null, "…");
const Page = ({ parts }) =>
  h(
    "html",
    null,
    h("body", null, ...parts.map((promise) => h(Suspense, { fallback: waiting }, h(Part, { promise })))),
  );

export function backend(script) {
  const app = express();
  app.get("/", (_request, response) => {
    const parts = partsOf(script);
    const { pipe } = renderToPipeableStream(h(Page, { parts }), {
      onShellReady() {
        response.type("html");
        pipe(response);
      },
      // A client that leaves is part of the test.
      onError() {},
    });
  });
  app.get("/style.css", (_request, response) => response.type("css").send(STYLE));
  app.post("/login", express.urlencoded(), ({ body }, response) =>
    response.cookie("user", body.user, { httpOnly: true }).redirect(303, "/me"),
  );
  app.get("/me", ({ headers }, response) => response.send(`Hello ${headers.cookie?.split("=")[1]}`));
  app.get("/old", ({ protocol, headers }, response) => response.redirect(`${protocol}://${headers.host}/me`));
  app.post("/upload", express.text({ limit: "1mb" }), ({ body }, response) =>
    response.send(`${body.length}`),
  );
  return createServer(app);
}
