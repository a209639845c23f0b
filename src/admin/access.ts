import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { bearsToken, digest } from "../auth/bearer-token.ts";
import type { ListenAddress } from "../config/address-schema.ts";
import { isLocal, isLoopbackHost } from "../config/admin-schema.ts";
import { cookieValues } from "../http/cookie.ts";
import { fieldValues } from "../http/fields.ts";

/** How long a browser stays signed in. */
const SESSION_SECONDS = 12 * 3_600;

const HOST = /^(?<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;
const IP_LITERAL = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/i;

/**
 * Controls the access to the admin listener: a client must reach it and, if there is a token, send the token.
 *
 * Any page in a browser on the machine can send requests to a loopback port. So the Host of a request must be a name of
 * this machine, because an attacker can point a name of its own to 127.0.0.1 (DNS rebinding), and a request that
 * changes something must not come from a page of another origin.
 */
export class AdminAccess {
  readonly #address: ListenAddress;
  readonly #token: Buffer | undefined;
  /** The key that signs the cookies; random at each start, so a restart signs all browsers out. */
  readonly #key = randomBytes(32);

  constructor(address: ListenAddress, token: string | undefined) {
    this.#address = address;
    this.#token = token === undefined ? undefined : digest(token);
  }

  /**
   * Whether a request is meant for this listener: it has a Host that no attacker can use, or the token, which no page
   * of an attacker can send.
   */
  isMeant(request: IncomingMessage): boolean {
    if ("path" in this.#address) return true;
    const [host = "", ...more] = fieldValues(request.rawHeaders, "host");
    const name = HOST.exec(host)?.groups?.["name"]?.toLowerCase();
    if (name === undefined || more.length > 0) return false;
    if (isLoopbackHost(name) || name === this.#address.host?.toLowerCase()) return true;
    if (isLocal(this.#address)) return false;
    // Only a name can be rebound, not an address. Monitoring that uses a name must send the token.
    return IP_LITERAL.test(name) || this.#hasBearer(request);
  }

  /** Whether the request comes from our own page, or from a program: programs send no Origin and no Sec-Fetch-Site. */
  isOwnPage(request: IncomingMessage): boolean {
    const { origin, host } = request.headers;
    const site = request.headers["sec-fetch-site"];
    if (site !== undefined && site !== "same-origin" && site !== "none") return false;
    return origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
  }

  isAuthorized(request: IncomingMessage): boolean {
    return this.#token === undefined || this.#hasBearer(request) || this.#hasSession(request);
  }

  /** Returns the Set-Cookie for a browser with the right token; undefined for a wrong one. */
  signIn(token: string, request: IncomingMessage): string | undefined {
    if (!this.#isToken(token)) return undefined;
    const expiresAt = String(Math.floor(Date.now() / 1_000) + SESSION_SECONDS);
    const value = `${expiresAt}.${this.#sign(expiresAt)}`;
    return `${cookieName(request)}=${value}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${SESSION_SECONDS}`;
  }

  #hasBearer(request: IncomingMessage): boolean {
    return this.#token !== undefined && bearsToken(request.rawHeaders, this.#token);
  }

  #isToken(token: string): boolean {
    return this.#token !== undefined && timingSafeEqual(digest(token), this.#token);
  }

  #hasSession(request: IncomingMessage): boolean {
    return cookieValues(request.rawHeaders, cookieName(request)).some((value) => {
      const [expiresAt = "", signature = ""] = value.split(".");
      const isSigned = timingSafeEqual(digest(signature), digest(this.#sign(expiresAt)));
      return isSigned && Number(expiresAt) * 1_000 > Date.now();
    });
  }

  #sign(expiresAt: string): string {
    return createHmac("sha256", this.#key).update(expiresAt).digest("base64url");
  }
}

/** The name contains the port: cookies ignore ports, and several gateways may run on one machine. */
const cookieName = (request: IncomingMessage): string => `sluice_admin_${request.socket.localPort ?? 0}`;
