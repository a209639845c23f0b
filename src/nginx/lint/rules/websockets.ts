import { findTarget } from "../../target.ts";
import { isAtLeast, SINCE } from "../../version.ts";
import { CONNECTION_MAP, setConnectionByMap } from "../connection-map.ts";
import { setInLocation, together } from "../edits.ts";
import type { Fix } from "../finding.ts";
import { configurationRule, locationRule, type Rule } from "../rule.ts";
import { sluiceBehind } from "../sluice.ts";
import type { View } from "../view.ts";
import { HTTP_VERSION } from "./request-body.ts";

/** Whether the location forwards Upgrade. */
const setsUpgrade = (view: View): boolean => {
  const value = view.requestField("Upgrade")?.arg(1);
  return value !== undefined && value !== "";
};

const upgradeMissing = locationRule(
  "upgrade-missing",
  "W5",
  "A WebSocket handshake does not reach the backend.",
  (view, lint) => {
    const route = view.routes?.find(({ hasWebSocket }) => hasWebSocket);
    const isMeant = view.carries === "websocket" || route !== undefined;
    if (!isMeant || view.family !== "proxy" || setsUpgrade(view)) return;
    if (view.all("proxy_set_header").isUncertain) return;
    lint.report(upgradeMissing, {
      severity: route === undefined ? "warning" : "error",
      at: view.target.directive,
      location: view.location,
      message: `${route === undefined ? view.why : `the route ${route.name} accepts WebSockets`}, but nginx does not forward Upgrade`,
      remedy:
        "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection with a map",
      fix: withUpgrade(view),
    });
  },
);

function withUpgrade(view: View): Fix | undefined {
  const fields = setConnectionByMap(view, { Upgrade: "$http_upgrade" });
  const isOld = view.setting("proxy_http_version").value === "1.0";
  return fields && together(isOld ? setInLocation(view, "proxy_http_version", "1.1") : undefined, fields);
}

const upgradeNeeds11 = locationRule(
  "upgrade-needs-1.1",
  "W5",
  "A WebSocket handshake over HTTP/1.0 fails.",
  (view, lint) => {
    const version = view.setting("proxy_http_version");
    if (view.family !== "proxy" || !setsUpgrade(view) || version.value !== "1.0" || version.isUncertain)
      return;
    const isReported = lint.report(upgradeNeeds11, {
      severity: "error",
      at: view.requestField("Upgrade") ?? view.target.directive,
      location: view.location,
      message: "a WebSocket handshake over HTTP/1.0 fails",
      cause: view.explain(version),
      remedy: "proxy_http_version 1.1;",
      fix: setInLocation(view, "proxy_http_version", "1.1"),
    });
    if (isReported) view.claim(HTTP_VERSION);
  },
);

const upgradeWithoutConnection = locationRule(
  "upgrade-without-connection",
  "W6",
  "nginx sends Upgrade without Connection, so the WebSocket handshake fails.",
  (view, lint) => {
    const upgrade = view.requestField("Upgrade");
    const connection = view.requestField("Connection")?.arg(1) ?? "";
    if (upgrade === undefined || !setsUpgrade(view) || view.family !== "proxy") return;
    if (/upgrade/i.test(connection) || connection.includes("$") || view.all("proxy_set_header").isUncertain)
      return;
    lint.report(upgradeWithoutConnection, {
      severity: "warning",
      at: upgrade,
      location: view.location,
      message: `nginx sends Upgrade ${connection === "" ? "without Connection" : `with Connection: ${connection}`}, so the WebSocket handshake fails`,
      remedy: CONNECTION_MAP,
      fix: setConnectionByMap(view, {}),
    });
  },
);

const h2NeedsTls = locationRule(
  "h2-needs-tls",
  "W9",
  "sluice accepts HTTP/2 only over TLS.",
  (view, lint) => {
    const version = view.setting("proxy_http_version");
    if (view.sluice === undefined || version.value !== "2" || view.target.scheme !== "http") return;
    if (!isAtLeast(lint.version, SINCE.http2Upstream)) return;
    lint.report(h2NeedsTls, {
      severity: "error",
      at: version.directive ?? view.target.directive,
      location: view.location,
      message: "sluice accepts HTTP/2 only over TLS, so nginx answers 502",
      cause: view.explain(version),
      remedy: "proxy_http_version 1.1; or https to a sluice listener with tls",
      fix: setInLocation(view, "proxy_http_version", "1.1"),
    });
  },
);

const proxyProtocolMismatch = configurationRule(
  "proxy-protocol-mismatch",
  "W10",
  "One side uses the PROXY protocol and the other does not.",
  (lint) => {
    for (const view of lint.views) {
      if (view.sluice?.hasProxyProtocol !== true) continue;
      lint.report(proxyProtocolMismatch, {
        severity: "error",
        at: view.target.directive,
        location: view.location,
        message:
          "this sluice listener expects a PROXY protocol header, which proxy_pass in http does not send, so nginx answers 502",
        remedy: "use a listener without proxyProtocol",
      });
    }
    for (const level of lint.configuration.main.inward()) {
      const target = level.kind === "stream server" ? findTarget(level, lint.configuration) : undefined;
      const listener = target && sluiceBehind(target, lint.options.sluice);
      if (target === undefined || listener === undefined || lint.options.sluice.routes === undefined)
        continue;
      const speaks = [...level.outward()].map((each) => each.last("proxy_protocol")).find((found) => found);
      const isOn = speaks?.value === "on";
      if (isOn === listener.hasProxyProtocol) continue;
      lint.report(proxyProtocolMismatch, {
        severity: "error",
        at: speaks ?? target.directive,
        message: `nginx ${isOn ? "sends" : "does not send"} a PROXY protocol header, and this sluice listener ${isOn ? "does not expect" : "expects"} it`,
        remedy: "switch it on or off on both sides",
      });
    }
  },
);

export const WEBSOCKET_RULES: readonly Rule[] = [
  upgradeMissing,
  upgradeNeeds11,
  upgradeWithoutConnection,
  h2NeedsTls,
  proxyProtocolMismatch,
];
