import { describe, expect, test } from "vitest";
import { clientLocation, clientRefresh } from "../../../src/upstream/redirects.ts";
import { answeredBy, type RedirectCase } from "../../support/redirecting.ts";

const located = (location: string, given: RedirectCase = {}): string =>
  clientLocation(location, answeredBy(given));

const HOSTED = (url: string) => ({ backends: [{ url }], hostHeader: "backend" });

describe("the address of the backend becomes the gateway's", () => {
  test.each([
    ["http://10.0.0.5:3000/login", "http://app.example/login"],
    ["HTTP://10.0.0.5:3000/login?a=1#b", "http://app.example/login?a=1#b"],
    ["http://10.0.0.5:3000", "http://app.example/"],
    ["http://10.0.0.5:3000?a=1", "http://app.example/?a=1"],
    ["//10.0.0.5:3000/login", "http://app.example/login"],
    ["http://10.0.0.5:3000//other.example/x", "http://app.example//other.example/x"],
    ["http://10.0.0.5:3000/caf\xe9 x", "http://app.example/caf\xe9 x"],
  ])("%s becomes %s", (location, expected) => {
    expect(located(location)).toBe(expected);
    expect(located(location, { upstream: HOSTED("http://10.0.0.5:3000") })).toBe(expected);
  });

  test("with or without the default port of the scheme", () => {
    for (const upstream of ["http://b.example", "http://B.example:80"]) {
      for (const location of ["http://b.example/x", "http://b.example:80/x", "http://B.EXAMPLE:/x"])
        expect(located(location, { upstream }), location).toBe("http://app.example/x");
      for (const other of ["http://b.example:443/x", "https://b.example/x", "https://b.example:80/x"])
        expect(located(other, { upstream }), other).toBe(other);
    }
    const secure = { upstream: HOSTED("https://b.example") };
    expect(located("https://b.example/x", secure)).toBe("http://app.example/x");
    expect(located("https://b.example:443/x", secure)).toBe("http://app.example/x");
    expect(located("http://b.example/x", secure)).toBe("http://b.example/x");
  });

  test("of an IPv6 address too", () => {
    const upstream = "http://[::1]:3000";
    expect(located("http://[::1]:3000/x", { upstream, host: "[2001:db8::1]:8000" })).toBe(
      "http://[2001:db8::1]:8000/x",
    );
  });

  test("as the Host field names it that the route sends", () => {
    const named = { headers: { request: { set: { host: "inner.example:81" } } } };
    expect(located("http://inner.example:81/x", named)).toBe("http://app.example/x");
    const socket = { upstream: HOSTED("unix:/run/app.sock") };
    expect(located("http://localhost/x", socket)).toBe("http://app.example/x");
    expect(located("http://localhost/x", { upstream: "unix:/run/app.sock" })).toBe("http://localhost/x");
  });

  test("as a backend names it that puts its own port behind the client's host", () => {
    expect(located("http://app.example:3000/x/", { host: "app.example:8000" })).toBe(
      "http://app.example:8000/x/",
    );
    expect(located("http://app.example:3000/x/", { tls: true })).toBe("https://app.example/x/");
    const standard = { upstream: "http://10.0.0.5", host: "app.example:8000" };
    expect(located("http://app.example/x/", standard)).toBe("http://app.example:8000/x/");
  });
});

describe("the path is the client's", () => {
  const both = { rewrite: { stripPrefix: "/app", addPrefix: "/v1" }, path: "/app/here" };

  test.each([
    ["http://10.0.0.5:3000/v1/login", "http://app.example/app/login"],
    ["http://10.0.0.5:3000/v1/", "http://app.example/app/"],
    ["http://10.0.0.5:3000/v1?a=1", "http://app.example/app/?a=1"],
    ["http://10.0.0.5:3000/v12", "http://10.0.0.5:3000/v12"],
    ["http://10.0.0.5:3000/", "http://10.0.0.5:3000/"],
    ["/v1/login", "/v1/login"],
    ["login", "login"],
  ])("%s becomes %s", (location, expected) => {
    expect(located(location, both)).toBe(expected);
  });

  test("without a prefix that was not removed from the request", () => {
    const rewrite = { stripPrefix: "/app" };
    expect(located("http://10.0.0.5:3000/x", { rewrite, path: "/app/here" })).toBe(
      "http://app.example/app/x",
    );
    expect(located("http://10.0.0.5:3000/x", { rewrite, path: "/apple" })).toBe("http://app.example/x");
  });
});

describe("what names another host stays byte for byte", () => {
  test.each([
    "http://other.example/x",
    "https://10.0.0.5:3000/x",
    "http://10.0.0.5/x",
    "http://10.0.0.5:30001/x",
    "http://10.0.0.5:3000.evil.example/x",
    "http://10.0.0.5:3000@evil.example/x",
    "http://user@10.0.0.5:3000/x",
    "http://10.0.0.5:3000\\@evil.example/x",
    "http:/10.0.0.5:3000/x",
    "http:\\\\10.0.0.5:3000/x",
    "http:10.0.0.5:3000/x",
    "javascript:alert(1)",
    "ftp://10.0.0.5:3000/x",
    "///10.0.0.5:3000/x",
    "http://app.example/x",
    "https://app.example/x",
    "http://app.example:8000/x",
    "/x",
    "?a",
    "",
    "\xff\t http://10.0.0.5:3000/x",
  ])("%j", (location) => {
    expect(located(location)).toBe(location);
    expect(clientRefresh(`0; url=${location}`, answeredBy({}))).toBe(`0; url=${location}`);
  });
});

describe("scheme and host are those that the client used", () => {
  const PROXY = ["X-Forwarded-Proto", "https", "X-Forwarded-Host", "public.example:444"];

  test.each<[string, RedirectCase, string]>([
    ["TLS", { tls: true }, "https://app.example/x"],
    ["a port", { host: "app.example:8000" }, "http://app.example:8000/x"],
    ["claims of an untrusted client", { fields: PROXY }, "http://app.example/x"],
    ["a trusted proxy", { fields: PROXY, isTrusted: true }, "https://public.example:444/x"],
    [
      "a trusted proxy that removed a prefix",
      { fields: [...PROXY, "X-Forwarded-Prefix", "/outer"], isTrusted: true },
      "https://public.example:444/outer/x",
    ],
    // nginx with proxy_redirect default maps its own name for the gateway, and adds the prefix.
    [
      "a trusted proxy that sends its own name for the gateway",
      { host: "10.0.0.1:8000", fields: ["X-Forwarded-Prefix", "/outer"], isTrusted: true },
      "http://10.0.0.1:8000/x",
    ],
    // The same with X-Forwarded-Proto: nginx would not map https://10.0.0.1:8000/x.
    [
      "a trusted proxy that reports only the scheme",
      { host: "10.0.0.1:8000", fields: ["X-Forwarded-Proto", "https"], isTrusted: true },
      "/x",
    ],
    [
      "a trusted proxy that reports only scheme and prefix",
      { fields: ["X-Forwarded-Proto", "https", "X-Forwarded-Prefix", "/outer"], isTrusted: true },
      "/outer/x",
    ],
    ["HTTP/1.0 without Host", { host: "" }, "/x"],
  ])("%s", (_name, given, expected) => {
    expect(located("http://10.0.0.5:3000/x", given)).toBe(expected);
  });

  test.each(["//evil.example/x", "/\\evil.example/x", "/\t/evil.example/x"])(
    "without a host, the path %j is not sent alone: a browser would read another host",
    (path) => {
      const location = `http://10.0.0.5:3000${path}`;
      expect(located(location, { host: "" })).toBe(location);
    },
  );
});

describe("a URL with the client's own host", () => {
  test("gets the client's TLS: a backend without TLS writes http", () => {
    expect(located("http://app.example/login", { tls: true })).toBe("https://app.example/login");
    expect(located("http://app.example:80/login", { tls: true })).toBe("https://app.example/login");
    const port = { tls: true, host: "app.example:8443" };
    expect(located("http://app.example:8443/login", port)).toBe("https://app.example:8443/login");
    expect(located("http://app.example/login", port)).toBe("http://app.example/login");
    const same = ["X-Forwarded-Proto", "https", "X-Forwarded-Host", "app.example"];
    expect(located("http://app.example/login", { fields: same, isTrusted: true })).toBe(
      "https://app.example/login",
    );
  });

  test("stays, with its path, if a proxy in front may map it", () => {
    const location = "http://app.example/login";
    const rewrite = { stripPrefix: "/here" };
    expect(located(location, { rewrite })).toBe(location);
    expect(located(location, { fields: ["X-Forwarded-Proto", "https"], isTrusted: true })).toBe(location);
    const other = ["X-Forwarded-Proto", "https", "X-Forwarded-Host", "public.example"];
    expect(located(location, { fields: other, isTrusted: true })).toBe(location);
  });

  test("is never turned from https to http: applications that demand TLS would loop", () => {
    const upstream = "https://10.0.0.5";
    for (const host of ["app.example", "app.example:8000"]) {
      expect(located("https://app.example/here", { upstream, host })).toBe("https://app.example/here");
      expect(located("https://app.example/x", { upstream, host })).toBe("https://app.example/x");
    }
  });

  test("stays if it is the request's own URL in another scheme", () => {
    expect(located("http://app.example/here", { tls: true })).toBe("http://app.example/here");
    expect(located("http://app.example/here#x", { tls: true, method: "HEAD" })).toBe(
      "http://app.example/here#x",
    );
    const posted = { tls: true, method: "POST" };
    expect(located("http://app.example/here", { ...posted, status: 303 })).toBe("https://app.example/here");
    expect(located("http://app.example/here", { ...posted, status: 307 })).toBe("http://app.example/here");
    expect(located("http://app.example/here", { ...posted, status: 201 })).toBe("https://app.example/here");
  });
});

test("a hosted backend that demands TLS does not loop", () => {
  const hosted = { upstream: HOSTED("https://b.example") };
  expect(located("https://b.example/here", hosted)).toBe("https://b.example/here");
  expect(located("https://b.example/other", hosted)).toBe("http://app.example/other");
  expect(located("https://b.example/here", { ...hosted, tls: true })).toBe("https://app.example/here");
  expect(located("https://b.example/here", { ...hosted, method: "POST" })).toBe("http://app.example/here");
});

test.each([
  ["0; url=http://10.0.0.5:3000/x", "0; url=http://app.example/x"],
  ["5;URL = 'http://10.0.0.5:3000/x?a=b;c'", "5;URL = 'http://app.example/x?a=b;c'"],
  ['0,url="http://10.0.0.5:3000/x" ', '0,url="http://app.example/x" '],
  ["2.5; url=http://10.0.0.5:3000/here", "2.5; url=http://app.example/here"],
  ["0; url=/x", "0; url=/x"],
  ["0; http://10.0.0.5:3000/x", "0; http://10.0.0.5:3000/x"],
  ["5", "5"],
])("Refresh %j becomes %j", (refresh, expected) => {
  expect(clientRefresh(refresh, answeredBy({}))).toBe(expected);
});
