import { describe, expect, test } from "vitest";
import { effective, effectiveAll, effectiveFields, explain } from "../../../src/nginx/effective.ts";
import { parseVersion } from "../../../src/nginx/version.ts";
import { configurationOf, locationOf } from "./configurations.ts";

const V122 = parseVersion("1.22.1") ?? [1, 22, 1];
const V130 = parseVersion("1.30.6") ?? [1, 30, 6];

const read = configurationOf({
  "/n.conf": `events {}
http {
  proxy_read_timeout 10s;
  proxy_set_header A http;
  add_header H http;
  server {
    proxy_set_header B server;
    proxy_set_header C server;
    location /own { proxy_read_timeout 1h; proxy_set_header D own; proxy_pass http://b;
      if ($arg_a) { add_header I if; }
    }
    location /inherits { proxy_pass http://b; add_header L location; }
    location /merges { proxy_pass http://b; add_header_inherit merge; add_header L location; }
    location /off { proxy_pass http://b; add_header_inherit off; }
  }
}`,
});
const own = locationOf(read, "/own");
const inherits = locationOf(read, "/inherits");

describe("the value of a directive", () => {
  test("is that of the innermost level", () => {
    expect(effective(own, "proxy_read_timeout", V122)).toMatchObject({ value: "1h", level: own });
    expect(effective(own, "proxy_read_timeout", V122).overridden.map(({ value }) => value)).toEqual(["10s"]);
    expect(effective(inherits, "proxy_read_timeout", V122)).toMatchObject({ value: "10s" });
  });

  test("is nginx's default for the version if no level sets it", () => {
    expect(effective(own, "proxy_buffering", V122)).toMatchObject({ value: "on", directive: undefined });
    expect(effective(own, "proxy_http_version", V122).value).toBe("1.0");
    expect(effective(own, "proxy_http_version", V130).value).toBe("1.1");
  });

  test("comes with its origin", () => {
    const inherited = effective(inherits, "proxy_read_timeout", V122);
    expect(explain(inherited, inherits)).toBe("from http, /n.conf:3");
    expect(explain(effective(own, "proxy_read_timeout", V122), own)).toBe("set here, /n.conf:9");
    const initial = effective(own, "proxy_buffering", V122);
    expect(explain(initial, own)).toBe(
      "default; nothing sets it in location /own, server /n.conf:6, http /n.conf:2",
    );
  });
});

describe("repeated directives", () => {
  test("are those of the innermost level that has any", () => {
    const all = effectiveAll(inherits, "proxy_set_header");
    expect(all.directives.map(({ value }) => value)).toEqual(["B server", "C server"]);
    expect(all.overridden.map(({ value }) => value)).toEqual(["A http"]);
  });

  test("override all outer ones", () => {
    const { overridden } = effectiveAll(own, "proxy_set_header");
    expect(overridden.map(({ value }) => value)).toEqual(["B server", "C server", "A http"]);
  });

  test("of an if are only those of the if", () => {
    const [inner] = own.levels;
    expect(inner).toBeDefined();
    if (inner === undefined) return;
    expect(effectiveAll(inner, "add_header").directives.map(({ value }) => value)).toEqual(["I if"]);
    expect(effectiveAll(inner, "proxy_set_header").level).toBe(own);
  });
});

describe("add_header_inherit", () => {
  const values = (pattern: string, version = V130) =>
    effectiveFields(locationOf(read, pattern), "add_header", version).directives.map(({ value }) => value);

  test("merge adds the outer fields", () => {
    expect(values("/merges")).toEqual(["L location", "H http"]);
  });
  test("off removes them", () => {
    expect(values("/off")).toEqual([]);
  });
  test("without it only the inner fields are effective", () => {
    expect(values("/inherits")).toEqual(["L location"]);
  });
  test("has no effect in a version of nginx without it", () => {
    expect(values("/merges", V122)).toEqual(["L location"]);
  });
});
