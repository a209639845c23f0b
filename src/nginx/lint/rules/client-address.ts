import { setRequestField } from "../edits.ts";
import { configurationRule, type Rule, streamRule } from "../rule.ts";
import type { View } from "../view.ts";
import { isForeign } from "./request-fields.ts";

const CLIENT_FIELDS = ["X-Forwarded-For", "X-Real-IP", "Forwarded"];

/** The values that hold the client's own X-Forwarded-For. */
const FROM_CLIENT = /\$\{?(?:proxy_add|http)_x_forwarded_for\b/;

const clientAddressForgeable = streamRule(
  "client-address-forgeable",
  "R4",
  "sluice trusts an address that the client itself sends.",
  (view, lint) => {
    const all = view.all("proxy_set_header");
    const { trustedProxies } = lint.options.sluice;
    if (view.sluice === undefined || view.family !== "proxy" || all.isUncertain) return;
    if (trustedProxies?.length === 0 || isBehindAnother(view)) return;
    const field = view.requestField("X-Forwarded-For");
    if (field !== undefined && !FROM_CLIENT.test(field.arg(1))) return;
    const isReported = lint.report(clientAddressForgeable, {
      severity: trustedProxies === undefined ? "warning" : "error",
      at: field ?? view.target.directive,
      location: view.location,
      message: field
        ? "nginx keeps a client's own X-Forwarded-For, and sluice trusts it"
        : "nginx forwards a client's own X-Forwarded-For, and sluice trusts it",
      remedy: "proxy_set_header X-Forwarded-For $remote_addr; behind a load balancer also set_real_ip_from",
      fix: setRequestField(view, "X-Forwarded-For", "$remote_addr"),
    });
    if (isReported) view.claim("client address");
  },
);

/** Whether this nginx takes the client's address from a trusted proxy in front. */
const isBehindAnother = (view: View): boolean =>
  view.all("set_real_ip_from").directives.length > 0 || view.listening?.hasProxyProtocol === true;

const clientAddressLost = streamRule(
  "client-address-lost",
  "R4",
  "The backend gets nginx's address instead of the client's.",
  (view, lint) => {
    const all = view.all("proxy_set_header");
    if (view.family !== "proxy" || view.carries !== "declared" || view.isClaimed("client address")) return;
    if (all.isUncertain || CLIENT_FIELDS.some((name) => view.requestField(name) !== undefined)) return;
    if (view.sluice === undefined && isForeign(view)) return;
    lint.reportStream(clientAddressLost, view, {
      severity: "info",
      at: view.target.directive,
      message: "the backend gets nginx's address instead of the client's",
      remedy: "proxy_set_header X-Forwarded-For $remote_addr;",
    });
  },
);

const realIpFromAnyone = configurationRule(
  "real-ip-from-anyone",
  "R5",
  "Every client can claim any address.",
  (lint) => {
    for (const level of lint.configuration.main.inward()) {
      for (const at of level.own("set_real_ip_from")) {
        if (!/^(?:0\.0\.0\.0\/0|::\/0|0\/0)$/.test(at.value) || level.kind.startsWith("stream")) continue;
        lint.report(realIpFromAnyone, {
          severity: "error",
          at,
          message: "every client can claim any address as its own",
          remedy: "list only the addresses of the load balancer in front",
        });
      }
    }
  },
);

export const CLIENT_ADDRESS_RULES: readonly Rule[] = [
  clientAddressForgeable,
  clientAddressLost,
  realIpFromAnyone,
];
