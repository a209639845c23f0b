import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CorsConfig } from "../../../src/config/route-schema.ts";
import type { CorsPolicy } from "../../../src/policy/cors.ts";
import {
  createCors,
  isCorsField,
  isPreflight,
  isUpgradeOriginAllowed,
  mergeVary,
  withCors,
} from "../../../src/policy/cors.ts";
import { type BrowserRequest, corsCheck, preflightOf, preflightPasses } from "./fetch-oracle.ts";

const APP = "https://app.example.com";
const EVIL = "https://evil.example";
const PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

const policy = (more: Partial<CorsConfig> = {}): CorsConfig => ({
  allowOrigins: [APP],
  allowMethods: ["GET", "POST"],
  allowHeaders: ["Authorization", "Content-Type"],
  exposeHeaders: ["X-Request-Id"],
  allowCredentials: false,
  maxAge: 600_000,
  allowPrivateNetwork: false,
  ...more,
});

const ask = (origin: string, method = "GET", headers?: string): string[] => [
  ...["Origin", origin, "Access-Control-Request-Method", method],
  ...(headers === undefined ? [] : ["Access-Control-Request-Headers", headers]),
];
const isGranted = (cors: CorsPolicy, raw: string[]): boolean =>
  cors.preflight(raw).fields.some(([name]) => name === "Access-Control-Max-Age");
const many = (count: number) => Array.from({ length: count }, (_, at) => `x-${at}`).join(",");
const DENIED = { status: 204, fields: [["Vary", PREFLIGHT_VARY]], body: "" };

describe("a preflight", () => {
  test("is OPTIONS with Origin and Access-Control-Request-Method", () => {
    expect(isPreflight("OPTIONS", ask(APP))).toBe(true);
    expect(isPreflight("OPTIONS", ["origin", APP, "ACCESS-CONTROL-REQUEST-METHOD", "GET"])).toBe(true);
    expect(isPreflight("OPTIONS", ["Origin", APP])).toBe(false);
    expect(isPreflight("OPTIONS", ["Access-Control-Request-Method", "GET"])).toBe(false);
    expect(isPreflight("OPTIONS", [])).toBe(false);
    expect(isPreflight("GET", ask(APP))).toBe(false);
    expect(isPreflight("options", ask(APP))).toBe(false);
  });
});

describe("cors: true", () => {
  const cors = createCors(true);

  test("a preflight gets the reply of the API gateway, plus Last-Event-ID", () => {
    expect(cors.preflight(ask(EVIL, "PATCH", "content-type,x-stage"))).toEqual({
      status: 200,
      fields: [
        ["Content-Type", "application/json"],
        ["Access-Control-Allow-Origin", "*"],
        [
          "Access-Control-Expose-Headers",
          "X-Request-Id,X-Apig-Latency,X-Apig-Upstream-Latency,X-Apig-RateLimit-Api,X-Apig-RateLimit-User,X-Apig-RateLimit-App,X-Apig-RateLimit-Ip,X-Apig-RateLimit-Api-Allenv,Mcp-Session-Id,Retry-After,*",
        ],
        [
          "Access-Control-Allow-Headers",
          "X-Stage,X-Sdk-Date,X-Sdk-Nonce,X-Proxy-Signed-Headers,X-Sdk-Content-Sha256,X-Forwarded-For,Authorization,Content-Type,Accept,Accept-Ranges,Cache-Control,Range,Last-Event-ID",
        ],
        ["Access-Control-Allow-Methods", "GET,POST,PUT,DELETE,HEAD,OPTIONS,PATCH"],
        ["Access-Control-Max-Age", "172800"],
      ],
      body: "",
    });
  });

  test("a preflight that asks for further headers gets them in addition, without those that are invalid", () => {
    const listOf = (raw: string[]) =>
      cors.preflight(raw).fields.find(([name]) => name === "Access-Control-Allow-Headers")?.[1] ?? "";
    const usual = listOf(ask(EVIL));
    const asking = ask(EVIL, "POST", "Authorization, x-api-key,x-stainless-os");
    expect(listOf(asking)).toBe(`${usual},x-api-key,x-stainless-os`);
    expect(cors.preflight(asking).fields).toContainEqual(["Vary", "Access-Control-Request-Headers"]);
    for (const names of ["x-a\r\nx-b: c", "x a", "x-a;b", "é", "x".repeat(129), many(65)]) {
      expect(listOf(ask(EVIL, "POST", names))).toBe(usual);
      expect(cors.preflight(ask(EVIL, "POST", names)).refused).toMatch(
        /^(an invalid header name|more than 64 headers)$/,
      );
    }
    expect(listOf(ask(EVIL, "POST", many(64)))).toBe(`${usual},${many(64)}`);
  });

  test("every response may be read, without credentials, and is the same for every origin", () => {
    const fields = cors.fields(["Origin", EVIL]);
    expect(fields).toEqual(cors.fields([]));
    expect(fields[0]).toEqual(["Access-Control-Allow-Origin", "*"]);
    expect(fields.map(([name]) => name)).not.toContain("Access-Control-Allow-Credentials");
    expect(cors.preflight(ask(EVIL)).fields.flat()).not.toContain(EVIL);
  });
});

describe("a policy's reply to a preflight", () => {
  test("contains every permission, with times in seconds", () => {
    const cors = createCors(policy({ allowCredentials: true, maxAge: 90_500 }));
    expect(cors.preflight(ask(APP, "POST", "authorization, content-type"))).toEqual({
      status: 204,
      fields: [
        ["Access-Control-Allow-Origin", APP],
        ["Access-Control-Allow-Credentials", "true"],
        ["Access-Control-Allow-Methods", "GET, POST"],
        ["Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID, Cache-Control"],
        ["Access-Control-Max-Age", "90"],
        ["Vary", PREFLIGHT_VARY],
      ],
      body: "",
    });
  });

  test("allows Last-Event-ID and Cache-Control even if the route does not name them", () => {
    const cors = createCors(policy({ allowHeaders: [] }));
    expect(isGranted(cors, ask(APP, "GET", "cache-control,last-event-id"))).toBe(true);
    expect(createCors(policy({ allowHeaders: ["last-event-id"] })).preflight(ask(APP)).fields).toContainEqual(
      ["Access-Control-Allow-Headers", "Last-Event-ID, Cache-Control"],
    );
  });

  test("denies the origin null, also if it is named, when credentials are allowed", () => {
    const raw = ask("null");
    expect(createCors(policy()).preflight(raw)).toMatchObject(DENIED);
    expect(isGranted(createCors(policy({ allowOrigins: ["null"] })), raw)).toBe(true);
    const locked = createCors(policy({ allowOrigins: ["null"], allowCredentials: true }));
    expect(locked.preflight(raw)).toMatchObject(DENIED);
    expect(locked.fields(raw)).toEqual([["Vary", "Origin"]]);
  });

  test.each([
    EVIL,
    "https://app.example.com.evil.net",
    "https://app.example.com:444",
    "http://app.example.com",
  ])("denies %s without an echo", (origin) => {
    expect(createCors(policy()).preflight(ask(origin))).toMatchObject(DENIED);
    expect(createCors(policy()).fields(["Origin", origin])).toEqual([["Vary", "Origin"]]);
  });

  test("never combines * with credentials, whatever the configuration contains", () => {
    const cors = createCors(policy({ allowOrigins: ["*", APP], allowCredentials: true }));
    const sent = [...cors.preflight(ask(APP)).fields, ...cors.fields(["Origin", APP])];
    expect(sent).toContainEqual(["Access-Control-Allow-Origin", "*"]);
    expect(sent.map(([name]) => name)).not.toContain("Access-Control-Allow-Credentials");
  });

  test.each([
    ["two Origin fields", ["Origin", APP, ...ask(APP)]],
    ["two different Origin fields", ["Origin", EVIL, ...ask(APP)]],
    ["a list", ask(`${APP}, ${EVIL}`)],
    ["a space", ask(`${APP} ${EVIL}`)],
    ["a line break", ask(`${APP}\r\nX-A: b`)],
    ["8 KiB", ask(`${APP}${"a".repeat(8192)}`)],
    ["nothing", ask("")],
  ])("denies %s as an Origin", (_, raw) => {
    for (const allowOrigins of [[APP], ["https://*.example.com"], ["*"]])
      expect(createCors(policy({ allowOrigins })).preflight(raw)).toMatchObject(DENIED);
    expect(createCors(policy()).fields(raw)).toEqual([["Vary", "Origin"]]);
  });

  test.each(["TRACE", "trace", "CONNECT", "TRACK", "HEAD", "GET, POST", "", "GET\r\n", "X".repeat(129)])(
    "denies the method %j without naming the origin: no browser sends it, or each takes it for allowed",
    (method) => {
      expect(createCors(policy()).preflight(ask(APP, method))).toMatchObject(DENIED);
    },
  );

  test.each(["DELETE", "PATCH", "get", "QUERY"])(
    "denies the method %s, and names the origin and the allowed methods",
    (method) => {
      expect(createCors(policy()).preflight(ask(APP, method, "content-type"))).toEqual({
        status: 204,
        fields: [
          ["Access-Control-Allow-Origin", APP],
          ["Access-Control-Allow-Methods", "GET, POST"],
          ["Vary", PREFLIGHT_VARY],
        ],
        body: "",
        refused: `the method ${method}`,
      });
    },
  );

  test("denies two Access-Control-Request-Method fields", () => {
    expect(
      createCors(policy()).preflight([...ask(APP), "Access-Control-Request-Method", "GET"]),
    ).toMatchObject(DENIED);
  });

  test.each([
    ["x-a", "the header x-a"],
    ["authorization,x-a", "the header x-a"],
    ["*", "the header *"],
    ["content-type;x", "an invalid header name"],
    ["content type", "an invalid header name"],
    [`${"x-a,".repeat(10_000)}x`, "the header x-a"],
    [many(65), "more than 64 headers"],
  ])("denies header names that are not on the list, and names origin and list: %#", (names, refused) => {
    expect(createCors(policy()).preflight(ask(APP, "GET", names))).toEqual({
      status: 204,
      fields: [
        ["Access-Control-Allow-Origin", APP],
        ["Access-Control-Allow-Methods", "GET, POST"],
        ["Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID, Cache-Control"],
        ["Vary", PREFLIGHT_VARY],
      ],
      body: "",
      refused,
    });
  });

  test("denies an origin without echoing the method or the headers, and says so to the log", () => {
    expect(createCors(policy()).preflight(ask(EVIL, "DELETE", "x-a"))).toEqual({
      ...DENIED,
      refused: "the origin",
    });
  });

  test("without allowHeaders, allows what the preflight asks for, if the names are valid", () => {
    const cors = createCors(policy({ allowHeaders: undefined, allowCredentials: true }));
    const listOf = (names?: string) =>
      cors
        .preflight(ask(APP, "POST", names))
        .fields.find(([name]) => name === "Access-Control-Allow-Headers")?.[1];
    expect(listOf()).toBe("Last-Event-ID, Cache-Control");
    expect(listOf("authorization,Content-Type, x-api-key")).toBe(
      "Last-Event-ID, Cache-Control, authorization, content-type, x-api-key",
    );
    for (const names of ["x-a\r\nx-b: c", "x a", "x-a\0", many(65), "x".repeat(129)]) {
      expect(listOf(names)).toBe("Last-Event-ID, Cache-Control");
      expect(cors.preflight(ask(APP, "POST", names)).refused).toBeDefined();
    }
  });

  test("answers 10,000 allowed names with the list of the configuration", () => {
    const reply = createCors(policy()).preflight(ask(APP, "GET", "content-type,".repeat(10_000)));
    expect(reply.fields).toContainEqual([
      "Access-Control-Allow-Headers",
      "Authorization, Content-Type, Last-Event-ID, Cache-Control",
    ]);
  });

  test("treats names in several fields as one list", () => {
    const more = ["access-control-request-headers", "x-a"];
    expect(isGranted(createCors(policy()), ask(APP, "GET", "content-type"))).toBe(true);
    expect(isGranted(createCors(policy()), [...ask(APP, "GET", "content-type"), ...more])).toBe(false);
  });

  test("does not apply * to Authorization, or to the method TRACE", () => {
    const cors = createCors(policy({ allowHeaders: ["*"], allowMethods: ["*"] }));
    expect(isGranted(cors, ask(APP, "PURGE", "x-anything"))).toBe(true);
    expect(isGranted(cors, ask(APP, "GET", "Authorization"))).toBe(false);
    expect(isGranted(cors, ask(APP, "Trace"))).toBe(false);
    const named = createCors(policy({ allowHeaders: ["*", "Authorization"] }));
    expect(isGranted(named, ask(APP, "GET", "authorization,x-a"))).toBe(true);
  });

  test("allows a private network only if the route does and the browser asks", () => {
    const raw = [...ask(APP), "Access-Control-Request-Private-Network", "true"];
    const opened = ["Access-Control-Allow-Private-Network", "true"];
    const open = createCors(policy({ allowPrivateNetwork: true }));
    expect(createCors(policy()).preflight(raw).fields).not.toContainEqual(opened);
    expect(open.preflight(raw).fields).toContainEqual(opened);
    expect(open.preflight(ask(APP)).fields).not.toContainEqual(opened);
    expect(open.preflight(["Origin", EVIL, ...raw.slice(2)])).toMatchObject({
      ...DENIED,
      fields: [["Vary", `${PREFLIGHT_VARY}, Access-Control-Request-Private-Network`]],
    });
  });
});

describe("a policy's other responses", () => {
  test("contain Vary: Origin with an allowed origin, with another and without one", () => {
    const cors = createCors(policy({ allowCredentials: true }));
    expect(cors.fields(["Origin", APP])).toEqual([
      ["Access-Control-Allow-Origin", APP],
      ["Access-Control-Allow-Credentials", "true"],
      ["Access-Control-Expose-Headers", "X-Request-Id"],
      ["Vary", "Origin"],
    ]);
    expect(cors.fields(["Origin", EVIL])).toEqual([["Vary", "Origin"]]);
    expect(cors.fields([])).toEqual([["Vary", "Origin"]]);
  });

  test("expose by default what SDKs read, and without credentials everything", () => {
    const exposedBy = (more: Partial<CorsConfig>) =>
      createCors(policy({ exposeHeaders: undefined, ...more }))
        .fields(["Origin", APP])
        .find(([name]) => name === "Access-Control-Expose-Headers")?.[1];
    expect(exposedBy({})).toBe("X-Request-Id, Mcp-Session-Id, Retry-After, *");
    expect(exposedBy({ allowCredentials: true })).toBe("X-Request-Id, Mcp-Session-Id, Retry-After");
  });

  test("are the same for every origin with *, without Vary", () => {
    const cors = createCors(policy({ allowOrigins: ["*"], exposeHeaders: [] }));
    const open = [["Access-Control-Allow-Origin", "*"]];
    expect([cors.fields(["Origin", EVIL]), cors.fields([])]).toEqual([open, open]);
  });
});

describe("a backend's own CORS fields", () => {
  test("are replaced, so that each occurs once", () => {
    const raw = [
      ...[
        "Content-Type",
        "text/plain",
        "access-control-allow-origin",
        "*",
        "Vary",
        "Accept-Encoding, origin",
      ],
      ...["Access-Control-Allow-Origin", EVIL, "Access-Control-Allow-Credentials", "true", "vary", "Accept"],
    ];
    expect(withCors(raw, createCors(policy()).fields(["Origin", APP]))).toEqual([
      ...["Content-Type", "text/plain", "Vary", "Accept-Encoding, origin, Accept"],
      ...["Access-Control-Allow-Origin", APP, "Access-Control-Expose-Headers", "X-Request-Id"],
    ]);
    expect(withCors(raw, createCors(policy()).fields([]))).toEqual([
      ...["Content-Type", "text/plain", "Vary", "Accept-Encoding, origin, Accept"],
    ]);
  });

  test("are all that begin with access-control-", () => {
    expect(["access-control-allow-origin", "access-control-max-age"].every(isCorsField)).toBe(true);
    expect(["vary", "origin", "x-access-control-allow-origin", "timing-allow-origin"].some(isCorsField)).toBe(
      false,
    );
  });

  test("include Vary, which is completed without duplicates; * stays *", () => {
    expect(mergeVary([], "Origin")).toBe("Origin");
    expect(mergeVary(["Accept-Encoding"], "Origin")).toBe("Accept-Encoding, Origin");
    expect(mergeVary(["accept, ORIGIN", "Accept"], "Origin")).toBe("accept, ORIGIN");
    expect(mergeVary(["Accept, *"], "Origin")).toBe("*");
    expect(mergeVary([" , "], "")).toBe("");
    expect(withCors(["Vary", "*"], [["Vary", "Origin"]])).toEqual(["Vary", "*"]);
  });
});

describe("the Origin of a WebSocket upgrade", () => {
  const cors = createCors(policy());
  const isAllowed = (origin: string[], host = "ws.example:8443", from = cors) =>
    isUpgradeOriginAllowed(
      from,
      origin.flatMap((value) => ["Origin", value]),
      host,
    );

  test("must be allowed, or be that of the host", () => {
    expect(isAllowed([APP])).toBe(true);
    expect(isAllowed([EVIL])).toBe(false);
    expect(isAllowed(["https://ws.example:8443"])).toBe(true);
    expect(isAllowed(["http://ws.example:8443"], "WS.example:8443")).toBe(true);
    expect(isAllowed(["https://ws.example"])).toBe(false);
    expect(isAllowed(["https://ws.example:8443.evil.net"])).toBe(false);
    expect(isAllowed(["null"])).toBe(false);
  });

  test("matches the host with its default port", () => {
    expect(isAllowed(["https://ws.example"], "ws.example")).toBe(true);
    expect(isAllowed(["https://ws.example"], "ws.example:443")).toBe(true);
    expect(isAllowed(["http://ws.example"], "ws.example:80")).toBe(true);
    expect(isAllowed(["http://ws.example"], "ws.example:443")).toBe(false);
    expect(isAllowed(["http://[::1]:8000"], "[::1]:8000")).toBe(true);
  });

  test("two are refused; without an Origin, or without cors, any client is admitted", () => {
    expect(isAllowed([APP, APP])).toBe(false);
    expect(isAllowed([])).toBe(true);
    expect(isUpgradeOriginAllowed(undefined, ["Origin", EVIL], "ws.example")).toBe(true);
    expect(isAllowed([EVIL], "ws.example", createCors(true))).toBe(true);
    expect(isAllowed([`${EVIL}, ${APP}`], "ws.example", createCors(true))).toBe(false);
  });
});

describe("compared with the Fetch algorithm of browsers", () => {
  const host = fc.constantFrom(
    "example.com",
    "www.example.com",
    "b.a.example.com",
    "evil.net",
    "example.com.evil.net",
  );
  const scheme = fc.constantFrom("https", "http");
  const port = fc.constantFrom("", "", "", ":444", ":8443");
  const glue = fc.constantFrom(
    "",
    "",
    "",
    "@evil.net",
    ".evil.net",
    ".",
    "/",
    ",https://evil.net",
    " ",
    "#",
    "\\",
  );
  const origin = fc.oneof(
    { weight: 8, arbitrary: fc.tuple(scheme, host, port).map(([s, h, p]) => `${s}://${h}${p}`) },
    { weight: 3, arbitrary: fc.tuple(scheme, host, glue, port).map(([s, h, g, p]) => `${s}://${h}${g}${p}`) },
    { weight: 1, arbitrary: fc.constantFrom("null", "*", "", "https://EXAMPLE.com", "https://.example.com") },
    { weight: 1, arbitrary: fc.string() },
  );
  const allowed = fc.oneof(
    fc.tuple(scheme, host, port).map(([s, h, p]) => `${s}://${h}${p}`),
    fc.constantFrom(
      "https://*.example.com",
      "http://*.example.com",
      "https://*.example.com:8443",
      "*",
      "null",
    ),
  );
  const names = fc.constantFrom("Authorization", "Content-Type", "X-A", "X-B", "Last-Event-ID", "*");
  const methods = fc.constantFrom("GET", "POST", "PUT", "PATCH", "patch", "DELETE", "TRACE", "*");
  const config = fc
    .record({
      allowOrigins: fc.array(allowed, { minLength: 1, maxLength: 3 }),
      allowMethods: fc.array(methods, { maxLength: 8 }),
      allowHeaders: fc.option(fc.array(names, { maxLength: 6 }), { nil: undefined }),
      allowCredentials: fc.boolean(),
    })
    .map(policy);
  const request: fc.Arbitrary<BrowserRequest> = fc.record({
    origin,
    method: methods.filter((method) => method !== "*"),
    unsafeNames: fc.array(
      names.filter((name) => name !== "*").map((name) => name.toLowerCase()),
      { maxLength: 3 },
    ),
    withCredentials: fc.boolean(),
  });

  /** Decides about an origin independently of the code: with the URL parser, and label by label. */
  function mayOrigin({ allowOrigins, allowCredentials }: CorsConfig, asked: BrowserRequest): boolean {
    const isWild = allowOrigins.includes("*");
    if (asked.withCredentials && (isWild || !allowCredentials || asked.origin === "null")) return false;
    if (asked.origin === "null") return isWild || (allowOrigins.includes("null") && !allowCredentials);
    if (!URL.canParse(asked.origin) || new URL(asked.origin).origin !== asked.origin) return false;
    const url = new URL(asked.origin);
    return allowOrigins.some((text) => {
      if (text === "*") return true;
      if (text === "null") return false;
      const own = new URL(text.replace("*.", ""));
      if (own.protocol !== url.protocol || own.port !== url.port) return false;
      const [labels, suffix] = [url.hostname.split("."), own.hostname.split(".")];
      const tail = labels.slice(-suffix.length).join(".");
      const more = labels.length - suffix.length;
      return (
        tail === suffix.join(".") && (text.includes("*") ? more > 0 && !labels.includes("") : more === 0)
      );
    });
  }

  function mayAsk({ allowMethods, allowHeaders }: CorsConfig, asked: BrowserRequest): boolean {
    if (asked.method === "TRACE") return false;
    if (!allowMethods.includes(asked.method) && !allowMethods.includes("*")) return false;
    if (allowHeaders === undefined) return true;
    const listed = [...allowHeaders, "Last-Event-ID", "Cache-Control"].map((name) => name.toLowerCase());
    return asked.unsafeNames.every(
      (name) => listed.includes(name) || (listed.includes("*") && name !== "authorization"),
    );
  }

  /**
   * With credentials, Fetch treats `*` as a literal name, so a browser refuses what a route without credentials allows.
   */
  const isMisread = (
    { allowMethods, allowHeaders }: CorsConfig,
    { withCredentials }: BrowserRequest,
  ): boolean => withCredentials && [...allowMethods, ...(allowHeaders ?? [])].includes("*");

  test("100,000 preflights and responses: none is wrongly accepted or refused", () => {
    let accepted = 0;
    fc.assert(
      fc.property(config, request, fc.boolean(), (settings, drawn, isOwn) => {
        // Half of the origins are made from the configuration, so that enough of them are allowed.
        const own = (settings.allowOrigins[0] ?? "").replace("*.", "a.");
        const asked = isOwn && own !== "*" ? { ...drawn, origin: own } : drawn;
        const cors = createCors(settings);
        const passes = preflightPasses(asked, cors.preflight(preflightOf(asked)));
        const mayPass = mayOrigin(settings, asked) && mayAsk(settings, asked);
        if (passes) expect(mayPass, "false accept of a preflight").toBe(true);
        else if (!isMisread(settings, asked)) expect(mayPass, "false refusal of a preflight").toBe(false);
        if (passes) accepted++;

        // With * the response is the same for every origin, even one that no browser would send.
        if (settings.allowOrigins.includes("*") && !asked.withCredentials) return;
        expect(corsCheck(asked, cors.fields(["Origin", asked.origin]))).toBe(mayOrigin(settings, asked));
      }),
      { numRuns: 100_000 },
    );
    // Control: enough cases were accepted.
    expect(accepted).toBeGreaterThan(8000);
  });

  test("a reply echoes no byte of the request except an allowed origin", () => {
    const text = fc.string({ unit: "binary", minLength: 3 });
    fc.assert(
      fc.property(config, text, text, text, (settings, from, method, headers) => {
        const cors = createCors(settings);
        const sent = [...cors.preflight(ask(from, method, headers)).fields, ...cors.fields(["Origin", from])];
        const constant = [...cors.preflight([]).fields, ...cors.fields([])].flat();
        const known = new Set([...constant, "*", "X-Request-Id", "Access-Control-Allow-Origin"]);
        known.add("Access-Control-Expose-Headers");
        expect(sent.flat().filter((part) => !known.has(part))).toEqual([]);
      }),
      { numRuns: 3000 },
    );
  });
});
