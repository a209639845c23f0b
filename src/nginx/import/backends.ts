import { existsSync } from "node:fs";
import { MAX_DURATION_MS } from "../../base/units.ts";
import type { Directive } from "../directive.ts";
import type { Level } from "../level.ts";
import { isVariable } from "../target.ts";
import { formatDuration, parseTime } from "../units.ts";
import { balanceOf, type UpstreamObject } from "./balance.ts";
import { type Notes, NotImported } from "./notes.ts";
import { hasVariable, type Proxied, type Scope } from "./scope.ts";
import { stickyOf } from "./sticky.ts";

type BackendInput = UpstreamObject["backends"][number];

/** Defaults that nginx and sluice share. */
const DEFAULT_READ_MS = 60_000;
const DEFAULT_FAILS = { maxFails: 1, failTimeout: 10_000 } as const;

/** Returns the upstream of a proxied location. Throws NotImported. */
export function upstreamOf({ scope, target }: Proxied): UpstreamObject | string {
  const { directive, scheme, authority, upstream } = target;
  if (isVariable(authority)) {
    throw new NotImported(directive, "the backend is in a variable; write upstream by hand");
  }
  if (scheme !== "http" && scheme !== "https") {
    throw new NotImported(directive, `sluice forwards by HTTP, not ${scheme || target.family}`);
  }
  const backends =
    upstream === undefined
      ? [{ url: urlOf(scheme, authority, directive) }]
      : groupOf(upstream, scheme, scope);
  const rest = {
    ...(upstream !== undefined && balanceOf(upstream, scope.notes)),
    ...(upstream !== undefined && stickyOf(upstream, scope.notes)),
    ...retriesOf(scope),
    ...timeOf(scope, "proxy_connect_timeout", "connectTimeout"),
    ...timeOf(scope, "proxy_read_timeout", "responseHeaderTimeout", DEFAULT_READ_MS),
    ...hostHeaderOf({ scope, target }),
    ...(scheme === "https" && { tls: tlsOf(scope, directive) }),
  };
  const [only, ...more] = backends;
  const isPlain = only !== undefined && more.length === 0 && Object.keys(only).length === 1;
  return isPlain && Object.keys(rest).length === 0 ? only.url : { backends, ...rest };
}

function urlOf(scheme: string, authority: string, at: Directive): string {
  if (!authority.startsWith("unix:")) return `${scheme}://${authority}`;
  if (scheme === "https") throw new NotImported(at, "sluice does not support TLS over unix sockets");
  return authority.replace(/:$/, "");
}

/** Returns the backends of an upstream block. */
function groupOf(upstream: Level, scheme: string, { notes, directive }: Scope): BackendInput[] {
  const backends: BackendInput[] = [];
  for (const at of upstream.own("server")) {
    const [address = "", ...parameters] = at.args;
    if (isVariable(address))
      throw new NotImported(at, "the backend is a placeholder of a template; import the rendered file");
    if (parameters.includes("down")) notes.add(at, "omitted: the server is marked down");
    else backends.push({ url: urlOf(scheme, address, at), ...parametersOf(parameters, at, notes) });
  }
  // A group in which all servers are `backup` needs no care: nginx does not start with it.
  if (backends.length === 0) {
    throw new NotImported(
      upstream.directive ?? directive,
      "every server of the group is marked down; write upstream by hand",
    );
  }
  return backends;
}

function parametersOf(parameters: readonly string[], at: Directive, notes: Notes): Omit<BackendInput, "url"> {
  const found: { weight?: number; backup?: boolean; maxFails?: number; failTimeout?: string } = {};
  for (const parameter of parameters) {
    const [name = "", value = ""] = parameter.split("=");
    const ms = parseTime(value);
    if (name === "backup") found.backup = true;
    else if (name === "weight" && value !== "1") found.weight = Number(value);
    else if (name === "max_fails") {
      if (Number(value) !== DEFAULT_FAILS.maxFails) found.maxFails = Math.min(100, Number(value));
    } else if (name === "fail_timeout" && ms !== undefined && ms > 0) {
      if (ms !== DEFAULT_FAILS.failTimeout) found.failTimeout = formatDuration(ms);
    } else if (name !== "weight" && name !== "resolve") notes.add(at, `${parameter} has no counterpart`);
  }
  return found;
}

function retriesOf(scope: Scope): Pick<UpstreamObject, "retries"> {
  const rule = scope.set("proxy_next_upstream");
  if (rule?.args.includes("off")) return { retries: 0 };
  if (rule !== undefined)
    scope.notes.add(rule, "sluice retries requests that did not reach a backend, and idempotent requests");
  const tries = Number(scope.set("proxy_next_upstream_tries")?.value ?? 0);
  return tries > 0 ? { retries: Math.min(10, tries - 1) } : {};
}

function timeOf<K extends "connectTimeout" | "responseHeaderTimeout">(
  scope: Scope,
  name: string,
  key: K,
  initialMs?: number,
): { readonly [key in K]?: string } {
  const at = scope.set(name);
  const ms = parseTime(at?.value ?? "");
  if (at === undefined || ms === initialMs) return {};
  if (ms === undefined || ms <= 0 || ms > MAX_DURATION_MS) {
    scope.notes.add(at, `${key} must be from 1ms to 24d; the route uses the default`);
    return {};
  }
  return { [key]: formatDuration(ms) } as { readonly [key in K]?: string };
}

const OF_CLIENT = /^\$(?:http_host|host)(?::\$server_port)?$/;

function hostHeaderOf({ scope, target }: Proxied): Pick<UpstreamObject, "hostHeader"> {
  const at = scope.all("proxy_set_header").findLast(({ args }) => args[0]?.toLowerCase() === "host");
  const value = at?.arg(1) ?? "$proxy_host";
  if (OF_CLIENT.test(value)) return {};
  if (/^\$proxy_host(?::\$proxy_port)?$/.test(value)) {
    if (target.upstream !== undefined) {
      scope.notes.add(
        at ?? target.directive,
        `nginx sends Host: ${target.authority}; the route sends the backend's own name`,
      );
    }
    return { hostHeader: "backend" };
  }
  // A fixed name becomes headers.request.set.
  if (at !== undefined && hasVariable(value))
    scope.notes.add(at, "the value contains variables; the route sends the client's Host");
  return {};
}

function tlsOf(scope: Scope, pass: Directive): NonNullable<UpstreamObject["tls"]> {
  const name = scope.set("proxy_ssl_name")?.value;
  const serverName = name !== undefined && !hasVariable(name) ? { serverName: name } : {};
  if (scope.set("proxy_ssl_verify")?.value !== "on") {
    scope.notes.add(
      pass,
      "nginx does not verify the backend's certificate; remove verify: false if the certificate is valid",
    );
    return { verify: false, ...serverName };
  }
  const ca = scope.set("proxy_ssl_trusted_certificate");
  if (ca !== undefined && !existsSync(ca.value))
    scope.notes.add(ca, "the file does not exist here; set upstream.tls.ca");
  return { ...serverName, ...(ca !== undefined && existsSync(ca.value) && { ca: ca.value }) };
}
