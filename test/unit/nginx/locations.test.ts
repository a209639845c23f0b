import { describe, expect, test } from "vitest";
import { levelsOf } from "../../../src/nginx/configuration.ts";
import { chooseLocation, normalizePath } from "../../../src/nginx/locations.ts";
import { configurationOf } from "./configurations.ts";

/** A test in test/e2e sends the same paths to a real nginx. */
const SERVER = `
location / { return 200; }
location = /exact { return 200; }
location /api { return 200; }
location /api/v1/ {
  location /api/v1/inner { return 200; }
  location ~ \\.nested$ { return 200; }
}
location ^~ /static/ { return 200; }
location /slash/ { proxy_pass http://127.0.0.1:1; }
location ~ \\.json$ { return 200; }
location ~* \\.PNG$ { return 200; }
location ~ "^/(a|b){2}/" { return 200; }
location @named { return 200; }
`;
const [server] = levelsOf(configurationOf({ "/n.conf": SERVER }), "server");

describe("the location of a path", () => {
  test.each([
    ["/", "/"],
    ["/exact", "= /exact"],
    ["/exact/", "/"],
    ["/api", "/api"],
    ["/apix", "/api"],
    ["/api/v1/x", "/api/v1/"],
    ["/api/v1/inner/x", "/api/v1/inner"],
    ["/api/v1/x.nested", "~ \\.nested$"],
    ["/api/v1/x.json", "~ \\.json$"],
    ["/static/x.json", "^~ /static/"],
    ["/x.json", "~ \\.json$"],
    ["/x.JSON", "/"],
    ["/x.png", "~* \\.PNG$"],
    ["/ab/x", "~ ^/(a|b){2}/"],
    ["/slash/x", "/slash/"],
  ])("%s is %s", (path, pattern) => {
    expect(server && chooseLocation(server, path)?.location.pattern).toBe(pattern);
  });

  test("a proxied prefix redirects the path without the final slash", () => {
    expect(server && chooseLocation(server, "/slash")).toMatchObject({ isRedirect: true });
  });
});

test.each([
  ["/a/../b//c?x=1", "/b/c"],
  ["/a%2Fb", "/a/b"],
  ["/a/./", "/a/"],
  ["/../../etc", "/etc"],
  ["/%", "/%"],
])("%s is compared as %s", (target, path) => {
  expect(normalizePath(target)).toBe(path);
});

test("an expression that takes exponential time is aborted", () => {
  const [evil] = levelsOf(configurationOf({ "/n.conf": 'location ~ "^/(a+)+$" { }' }), "server");
  expect(evil && chooseLocation(evil, `/${"a".repeat(40)}!`)).toBeUndefined();
});
