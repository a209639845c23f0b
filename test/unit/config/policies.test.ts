import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadConfig } from "../../../src/config/load.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import { routeSchema } from "../../../src/config/route-schema.ts";
import { afterTest } from "../../support/after-test.ts";

/** Returns the problems of one route file as `sluice check` prints them, from the line number on; empty if it loads. */
function problemsOf(route: string): string[] {
  const root = mkdtempSync(join(tmpdir(), "sluice-"));
  afterTest(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, "routes"));
  writeFileSync(join(root, "routes/main.yaml"), route);
  const loaded = loadConfig(root, {});
  return "problems" in loaded
    ? loaded.problems.map((problem) =>
        formatProblem(problem).slice(root.length + "/routes/main.yaml:".length),
      )
    : [];
}

const MATCH = "match: { path: /x }\n";
const UPSTREAM = "upstream: http://127.0.0.1:1\n";

test.each([
  ["neither upstream nor mock", MATCH, "1:1: expected upstream or mock"],
  ["both", `${MATCH}${UPSTREAM}mock: {}\n`, "1:1: expected either upstream or mock, and not both"],
  [
    "a stage with both",
    `${MATCH}${UPSTREAM}stages:\n  TEST: { upstream: http://h, mock: {} }\n`,
    "4:9 stages.TEST: expected either upstream or mock, and not both",
  ],
  [
    "a CIDR with too many bits",
    `${MATCH}${UPSTREAM}access:\n  allow: [10.0.0.0/33]\n`,
    "4:11 access.allow[0]: expected an address or a CIDR range such as 10.0.0.0/8",
  ],
  [
    "a CIDR that is a name",
    `${MATCH}${UPSTREAM}access:\n  deny: [localhost]\n`,
    "4:10 access.deny[0]: expected an address or a CIDR range such as 10.0.0.0/8",
  ],
  [
    "a period over a day",
    `${MATCH}${UPSTREAM}limits:\n  rate: { requests: 1, per: 2d }\n`,
    "4:29 limits.rate.per: expected whole seconds from 1s to 1d",
  ],
  [
    "a period under a second",
    `${MATCH}${UPSTREAM}limits:\n  rate: [{ requests: 1, per: 1500ms }]\n`,
    "4:30 limits.rate[0].per: expected whole seconds from 1s to 1d",
  ],
  [
    "a rate of nothing",
    `${MATCH}${UPSTREAM}limits:\n  rate: { requests: 0, per: 1s }\n`,
    "4:21 limits.rate.requests: expected at least 1",
  ],
  [
    "an unknown way to count",
    `${MATCH}${UPSTREAM}limits:\n  rate: { requests: 1, per: 1s, by: apps }\n`,
    "4:37 limits.rate.by: expected app, ip or route; did you mean app?",
  ],
  [
    "a reserve beyond the limit of tokens",
    `${MATCH}${UPSTREAM}limits:\n  tokens: [{ tokens: 500, per: 1h, reserve: 2000 }]\n`,
    "4:45 limits.tokens[0].reserve: expected at most tokens, 500: with more, every request would be refused",
  ],
  [
    "a limit of no tokens",
    `${MATCH}${UPSTREAM}limits:\n  tokens: { tokens: 0, per: 1h }\n`,
    "4:21 limits.tokens.tokens: expected at least 1",
  ],
  [
    "an unknown way to count tokens",
    `${MATCH}${UPSTREAM}limits:\n  tokens: { tokens: 9, per: 1h, by: user }\n`,
    "4:37 limits.tokens.by: expected app, principal, ip or route",
  ],
  [
    "a limit of tokens on a shared stream",
    `${MATCH}${UPSTREAM}shared: {}\nlimits:\n  tokens: { tokens: 9, per: 1h }\n`,
    "5:11 limits.tokens: expected no limit of tokens on a route with shared, whose streams belong to no single client; limit the route that asks the model",
  ],
  ["an unknown usage", `${MATCH}${UPSTREAM}llm: { usage: openai }\n`, "3:15 llm.usage: expected auto"],
  [
    "a longest event of a few bytes",
    `${MATCH}${UPSTREAM}llm: { maxEvent: 10 }\n`,
    "3:18 llm.maxEvent: expected a size from 1k to 64m",
  ],
  [
    "no streams at all",
    `${MATCH}${UPSTREAM}limits: { streams: 0 }\n`,
    "3:20 limits.streams: expected at least 1",
  ],
  [
    "a script and a status",
    `${MATCH}mock: { status: 201, events: [{ data: x }] }\n`,
    "2:17 mock.status: expected no status together with events: a stream has status 200",
  ],
  [
    "a script that never pauses",
    `${MATCH}mock:\n  repeat: true\n  events: [{ data: x }]\n`,
    "4:11 mock.events: expected at least one event with after, because the script repeats",
  ],
  [
    "an event of nothing",
    `${MATCH}mock: { events: [{ after: 1s }] }\n`,
    "2:18 mock.events[0]: expected at least data or comment",
  ],
  [
    "an id of two lines",
    `${MATCH}mock: { events: [{ data: x, id: "a\\nb" }] }\n`,
    "2:33 mock.events[0].id: expected one line of text",
  ],
  [
    "a status that is no answer",
    `${MATCH}mock: { status: 101 }\n`,
    "2:17 mock.status: expected at least 200",
  ],
  [
    "a stage that is the route itself",
    `${MATCH}${UPSTREAM}stages:\n  RELEASE: {}\n`,
    "4:3 stages.RELEASE: expected no RELEASE here: it is the route itself",
  ],
  [
    "a variable that is not set",
    `${MATCH}upstream: http://#Host#:80\n`,
    "2:11 upstream: the variable #Host# is not set in the variables of this environment",
  ],
  [
    "a variable of another case",
    `${MATCH}variables: { host: a }\nupstream: { backends: [{ url: "http://#Host#" }] }\n`,
    "3:31 upstream.backends[0].url: the variable #Host# is not set in the variables of this environment",
  ],
  [
    "a variable in a prefix",
    `${MATCH}${UPSTREAM}rewrite:\n  addPrefix: "/#Version#"\n`,
    "4:14 rewrite.addPrefix: the variable #Version# is not set in the variables of this environment",
  ],
  [
    "a prefix that climbs",
    `${MATCH}${UPSTREAM}variables: { Version: .. }\nrewrite:\n  addPrefix: "/#Version#/x"\n`,
    "5:14 rewrite.addPrefix: expected a path without a dot segment",
  ],
  [
    "a domain of cookies with a port",
    `${MATCH}${UPSTREAM}rewrite:\n  cookies: { domain: "app.example.com:80" }\n`,
    "4:22 rewrite.cookies.domain: expected a host name such as app.example.com, or remove; did you mean app.example.com?",
  ],
  [
    "a domain of cookies with a second attribute",
    `${MATCH}${UPSTREAM}rewrite:\n  cookies: { domain: { a.internal: "a; Secure" } }\n`,
    "4:36 rewrite.cookies.domain.a.internal: expected a host name such as app.example.com, or remove",
  ],
  [
    "a path of cookies with a second attribute",
    `${MATCH}${UPSTREAM}rewrite:\n  cookies: { path: { /a: "/; Secure" } }\n`,
    "4:26 rewrite.cookies.path./a: expected a path such as /api",
  ],
  [
    "a path of cookies",
    `${MATCH}${UPSTREAM}rewrite:\n  cookies: { path: off }\n`,
    "4:20 rewrite.cookies.path: expected auto, or paths such as { /account: /app/account }",
  ],
  [
    "another value of redirects",
    `${MATCH}${UPSTREAM}rewrite:\n  redirects: true\n`,
    "4:14 rewrite.redirects: expected auto or off",
  ],
  [
    "another value of via",
    `${MATCH}${UPSTREAM}headers: { request: { via: true } }\n`,
    "3:28 headers.request.via: expected on or off",
  ],
  [
    "a variable's name",
    `${MATCH}${UPSTREAM}variables: { ab: x }\n`,
    "3:14 variables.ab: expected a variable name of 3 to 32 letters, digits, - and _",
  ],
  [
    "a variable's value",
    `${MATCH}${UPSTREAM}variables: { Host: "a b" }\n`,
    "3:20 variables.Host: expected 1 to 255 letters, digits and _-/.:",
  ],
])("%s is refused with its place", (_, route, problem) => {
  expect(problemsOf(route)).toContain(problem);
});

test("a variable that only the route has is missing in its environments", () => {
  const problems = problemsOf(
    `${MATCH}upstream: http://#Host#\nvariables: { Host: a.example }\nstages:\n  TEST: { variables: {} }\n`,
  );
  expect(problems).toEqual([
    expect.stringContaining(
      "stages.TEST.upstream: the variable #Host# is not set in the variables of this environment",
    ),
  ]);
});

test("each environment fills in its own variables, and inherits the other keys from the route", () => {
  const { upstream, rewrite, stages } = routeSchema.parse({
    match: { path: "/x" },
    upstream: "http://#Host#:#Port#",
    rewrite: { stripPrefix: "/x", addPrefix: "/#Version#" },
    variables: { Host: "a.example", Port: 81, Version: "v1" },
    stages: {
      TEST: { variables: { Host: "b.example", Port: "82", Version: "v2" } },
      MOCK: { mock: { body: "x" }, variables: { Version: "v3" } },
      OTHER: { upstream: "http://c.example", rewrite: {} },
    },
  });
  const urlOf = (group: typeof upstream) => group?.backends.map(({ url }) => url.url);
  expect(urlOf(upstream)).toEqual(["http://a.example:81"]);
  expect(rewrite).toMatchObject({ stripPrefix: "/x", addPrefix: "/v1" });
  expect(urlOf(stages["TEST"]?.upstream)).toEqual(["http://b.example:82"]);
  expect(stages["TEST"]?.rewrite).toMatchObject({ stripPrefix: "/x", addPrefix: "/v2" });
  expect(stages["MOCK"]?.upstream).toBeUndefined();
  expect(stages["MOCK"]?.mock).toMatchObject({ body: "x" });
  expect(stages["MOCK"]?.rewrite).toMatchObject({ stripPrefix: "/x", addPrefix: "/v3" });
  expect(urlOf(stages["OTHER"]?.upstream)).toEqual(["http://c.example"]);
  expect(stages["OTHER"]?.rewrite).toMatchObject({ stripPrefix: "", addPrefix: "" });
});

test("a filled-in value is not searched for variables again", () => {
  const { upstream } = routeSchema.parse({
    match: { path: "/x" },
    upstream: "http://#One#-#Two#:80",
    variables: { One: "a", Two: "b" },
  });
  expect(upstream?.backends[0]?.url.host).toBe("a-b");
});
