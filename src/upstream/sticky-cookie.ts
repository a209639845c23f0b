import type { StickyCookieConfig } from "../config/sticky-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { cookieValues } from "../http/cookie.ts";
import type { Backend } from "./backend.ts";
import { BackendNames, type Stay, type Sticky } from "./sticky.ts";

/** Keeps a client at its backend with a cookie: its value names the backend, so nothing is remembered here. */
export class StickyCookie implements Sticky {
  readonly cookie: string;
  readonly #names: BackendNames;
  /** The attributes behind the value. */
  readonly #attributes: string;
  readonly #isAlwaysSecure: boolean;

  constructor(backends: readonly Backend[], { name, sameSite, maxAge, secret }: StickyCookieConfig) {
    this.cookie = name;
    this.#names = new BackendNames(backends, secret);
    const site = { lax: "Lax", strict: "Strict", none: "None" }[sameSite];
    const age = maxAge === undefined ? "" : `; Max-Age=${Math.ceil(maxAge / 1000)}`;
    this.#attributes = `; Path=/; HttpOnly; SameSite=${site}${age}`;
    // Browsers ignore a cookie with SameSite=None that is not Secure.
    this.#isAlwaysSecure = sameSite === "none";
  }

  stayOf(exchange: Exchange): Stay {
    const home = this.#homeOf(exchange);
    return {
      home,
      answeredBy: (backend) => {
        if (backend !== home) exchange.addFields(["Set-Cookie", this.#cookieFor(backend, exchange)]);
        return undefined;
      },
    };
  }

  close(): void {}

  #homeOf({ request }: Exchange): Backend | undefined {
    for (const value of cookieValues(request.rawHeaders, this.cookie)) {
      const backend = this.#names.find(value);
      if (backend !== undefined) return backend;
    }
    return undefined;
  }

  #cookieFor(backend: Backend, { client }: Exchange): string {
    const isSecure = this.#isAlwaysSecure || client.proto === "https";
    return `${this.cookie}=${this.#names.of(backend)}${this.#attributes}${isSecure ? "; Secure" : ""}`;
  }
}
