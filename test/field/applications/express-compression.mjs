import { createServer } from "node:http";
import compression from "compression";
import express from "express";
import { STYLE, visit } from "../visit.mjs";

export const packages = ["express", "compression"];
export const label = "Express with `compression`";
export const checks = {
  ...visit,
  async gzip(url) {
    const { headers } = await fetch(`${url}/style.css`, { headers: { "accept-encoding": "gzip" } });
    if (headers.get("content-encoding") !== "gzip") throw new Error("the style sheet is not compressed");
    return "yes";
  },
};

export function backend(script) {
  const app = express();
  app.use(compression({ threshold: 0 }));
  app.get("/", async (_request, response) => {
    response.type("html");
    for await (const token of script.round.tokens()) {
      response.write(`<p>${token}</p>`);
      response.flush();
    }
    response.end();
  });
  app.get("/style.css", (_request, response) => response.type("css").send(STYLE));
  app.post("/login", express.urlencoded(), ({ body }, response) =>
    response.cookie("theme", "dark").cookie("user", body.user).redirect("/me"),
  );
  app.get("/me", ({ headers }, response) => response.send(`Hello ${headers.cookie?.split("user=")[1]}`));
  app.get("/old", ({ protocol, headers }, response) =>
    response.redirect(301, `${protocol}://${headers.host}/me`),
  );
  app.post("/upload", express.text({ limit: "1mb" }), ({ body }, response) =>
    response.send(`${body.length}`),
  );
  return createServer(app);
}
