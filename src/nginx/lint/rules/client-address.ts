import { setRequestField } from "../edits.ts";
import { configurationRule, type Rule, streamRule } from "../rule.ts";
import type { View } from "../view.ts";
import { isForeign } from "./request-fields.ts";

const CLIENT_FIELDS = ["X-Forwarded-For", "X-Real-IP", "Forwarded"];

const clientAddressForgeable = streamRule(
  "client-address-forgeable",
  "R4",
  "sluice believes an address that the client itself has sent.",
  (view, lint) => {
    const all = view.all("proxy_set_header");
    const { trustedProxies } = lint.options.sluice;
    if (view.sluice === undefined || view.family !== "proxy" || all.isUncertain) return;
    if (trustedProxies?.length === 0 || isBehindAnother(view)) return;
    const field = view.requestField("X-Forwarded-For");
    if (field !== undefined && !field.arg(1).includes("$proxy_add_x_forwarded_for")) return;
    const isReported = lint.report(clientAddressForgeable, {
      severity: trustedProxies === undefined ? "warning" : "error",
      at: field ?? view.target.directive,
      location: view.location,
      message: field
        ? "a client's own X-Forwarded-For is kept at the front, and sluice believes it"
        : "a client's own X-Forwarded-For passes, and sluice believes it",
      remedy:
        "proxy_set_header X-Forwarded-For $remote_addr; at the edge, set_real_ip_from behind a balancer",
      fix: setRequestField(view, "X-Forwarded-For", "$remote_addr"),
    });
    if (isReported) view.claim("client address");
  },
);

/** Whether the client's address comes from a proxy in front that this nginx trusts. */
const isBehindAnother = (view: View): boolean =>
  view.all("set_real_ip_from").directives.length > 0 || view.listening?.hasProxyProtocol === true;

const clientAddressLost = streamRule(
  "client-address-lost",
  "R4",
  "The backend sees nginx's address in place of the client's.",
  (view, lint) => {
    const all = view.all("proxy_set_header");
    if (view.family !== "proxy" || view.carries !== "declared" || view.isClaimed("client address")) return;
    if (all.isUncertain || CLIENT_FIELDS.some((name) => view.requestField(name) !== undefined)) return;
    if (view.sluice === undefined && isForeign(view)) return;
    lint.reportStream(clientAddressLost, view, {
      severity: "info",
      at: view.target.directive,
      message: "the backend sees nginx's address in place of the client's",
      remedy: "proxy_set_header X-Forwarded-For $remote_addr;",
    });
  },
);

const realIpFromAnyone = configurationRule(
  "real-ip-from-anyone",
  "R5",
  "Every client may name any address as its own.",
  (lint) => {
    for (const level of lint.configuration.main.inward()) {
      for (const at of level.own("set_real_ip_from")) {
        if (!/^(?:0\.0\.0\.0\/0|::\/0|0\/0)$/.test(at.value) || level.kind.startsWith("stream")) continue;
        lint.report(realIpFromAnyone, {
          severity: "error",
          at,
          message: "every client may name any address as its own",
          remedy: "the addresses of the balancer in front",
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
