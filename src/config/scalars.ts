import { isIP } from "node:net";
import * as z from "zod";
import { DURATION_PATTERN, parseDuration, parseSize, SIZE_PATTERN } from "../base/units.ts";
import { unsetVariable } from "./variables.ts";

/** Scalars that several keys share. Each message says what was expected. */

/** A duration with its unit; milliseconds after parsing, more than zero. */
export const duration = z
  .string("expected a duration such as 15s")
  .regex(new RegExp(DURATION_PATTERN), "expected a duration such as 15s")
  .transform((text, ctx) => {
    const ms = parseDuration(text);
    if (ms !== undefined && ms > 0) return ms;
    ctx.addIssue("expected a duration from 1ms to 24d");
    return z.NEVER;
  });

/** A duration or `off`; undefined after parsing if off. */
export const durationOrOff = z
  .union([z.literal("off"), duration], "expected a duration such as 15s, or off")
  .transform((value) => (value === "off" ? undefined : value));

const EXPECTED_SIZE = "expected a size such as 64k";

/**
 * An optional value, or `off`; undefined after parsing if off. With `off`, a route takes a default of sluice.yaml off.
 * The message names `{}` if it is a valid value.
 */
export function orOff<T extends z.ZodType>(schema: T, expected?: string) {
  const object = schema.safeParse({}).success ? EXPECTED_ANY_OBJECT : "expected an object, or off";
  return z
    .union([z.literal("off"), schema], expected ?? object)
    .transform((value): z.output<T> | undefined => (value === "off" ? undefined : value))
    .optional();
}

const EXPECTED_ANY_OBJECT = "expected {} for the defaults, an object, or off";

/** A size, `64k` or a plain number of bytes; bytes after parsing. */
export const size = z
  .union(
    [z.string().regex(new RegExp(SIZE_PATTERN), EXPECTED_SIZE), z.int().nonnegative(EXPECTED_SIZE)],
    EXPECTED_SIZE,
  )
  .transform((value, ctx) => {
    const bytes = typeof value === "number" ? value : parseSize(value);
    if (bytes !== undefined) return bytes;
    ctx.addIssue(EXPECTED_SIZE);
    return z.NEVER;
  });

/** A token (RFC 9110, section 5.6.2). */
export const token = z
  .string()
  .regex(
    /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/,
    "expected a name of letters, digits and -, without spaces (RFC 9110 token)",
  );

/**
 * The name of a field that a route may set or remove; a field that frames a message or belongs to one connection is
 * refused.
 */
export const editableField = token.regex(
  /^(?!(?:connection|content-length|expect|keep-alive|te|trailer|transfer-encoding|upgrade)$)/i,
  "expected no field that frames a message or belongs to one connection",
);

/** A field value (RFC 9110, section 5.5): visible characters, spaces and tabs; Node would throw on others. */
export const fieldValue = z
  .string()
  .regex(/^[\t\x20-\x7e\x80-\xff]*$/, "expected a field value without line breaks or control characters");

/** The source of a pattern for paths (RFC 3986, section 3.3), without `*`, which is allowed only at a prefix's end. */
export const pathCharacters = "(?:[!$&'()+,\\-./0-9:;=@A-Z_a-z~]|%[0-9A-Fa-f]{2})*";

const EXPECTED_CIDR = "expected an address or a CIDR range such as 10.0.0.0/8";

/** An IP address, or a range in CIDR notation. */
export const cidr = z
  .string(EXPECTED_CIDR)
  .meta({ pattern: "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$" })
  .superRefine((text, ctx) => {
    const [ip = "", bits, more] = text.split("/");
    const most = { 0: -1, 4: 32, 6: 128 }[isIP(ip)] ?? -1;
    const bitsFit = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most);
    if (most < 0 || more !== undefined || !bitsFit) ctx.addIssue(EXPECTED_CIDR);
    else if (bits !== undefined) refuseHostBits(ip, Number(bits), ctx);
  });

/** Refuses an IPv4 range such as 10.0.0.5/8: its author meant one address, or the whole range. */
function refuseHostBits(ip: string, bits: number, ctx: z.RefinementCtx): void {
  if (isIP(ip) !== 4) return;
  const size = 2 ** (32 - bits);
  const value = ip.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const first = Math.floor(value / size) * size;
  if (first === value) return;
  const network = [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join(".");
  ctx.addIssue(`${ip} is inside of the range; did you mean ${network}/${bits}, or ${ip} alone?`);
}

/** The address of a backend, parsed. */
export interface BackendAddress {
  /** As configured, for logs. */
  readonly url: string;
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  /** Path of the unix socket; `host` and `port` are then not used. */
  readonly socketPath: string | undefined;
  /** The Host field for `hostHeader: backend`. */
  readonly authority: string;
}

const EXPECTED_URL = "expected a URL such as http://127.0.0.1:8080, https://host or unix:/run/app.sock";

/** `http://host:port`, `https://host:port` or `unix:/path`, without path, query or credentials. */
export const backendUrl = z
  .string(EXPECTED_URL)
  // A #Name# is a variable, which is filled in before validation.
  .meta({ pattern: "^(unix:/.+|[Hh][Tt]{2}[Pp][Ss]?://([^/?#@]|#[\\w-]{3,32}#)+/?|#[\\w-]{3,32}#)$" })
  .transform((url, ctx): BackendAddress => {
    const unset = unsetVariable(url);
    if (unset !== undefined) {
      ctx.addIssue(unset);
      return z.NEVER;
    }
    if (url.startsWith("unix:/")) {
      return {
        url,
        tls: false,
        host: "localhost",
        port: 80,
        socketPath: url.slice(5),
        authority: "localhost",
      };
    }
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    // The URL standard allows a host with `$`; no such host exists, and the author meant a variable.
    if (parsed === undefined || parsed.port === "0" || !/^https?:\/\/[^$]+$/i.test(url)) {
      ctx.addIssue(EXPECTED_URL);
      return z.NEVER;
    }
    if (parsed.pathname !== "/" || parsed.search !== "" || parsed.hash !== "") {
      ctx.addIssue("expected no path or query; a path prefix belongs in rewrite.addPrefix");
      return z.NEVER;
    }
    if (parsed.username !== "" || parsed.password !== "") {
      ctx.addIssue("expected no credentials; they belong in headers.request.set");
      return z.NEVER;
    }
    const tls = parsed.protocol === "https:";
    const port = parsed.port === "" ? (tls ? 443 : 80) : Number(parsed.port);
    const host = parsed.hostname.replace(/^\[(.*)\]$/, "$1");
    return { url, tls, host, port, socketPath: undefined, authority: parsed.host };
  });
