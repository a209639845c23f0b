import type { Directive } from "../../directive.ts";
import type { Level } from "../../level.ts";
import { listeningOf } from "../../listen.ts";
import { canRemove, insertAfter, removeDirective } from "../edits.ts";
import type { Lint } from "../lint.ts";
import { configurationRule, locationRule, type Rule } from "../rule.ts";
import { isField } from "../view.ts";

/** The connection-specific fields, which HTTP/2 forbids (RFC 9113 section 8.2.2). */
const OF_CONNECTION = ["Connection", "Keep-Alive", "Transfer-Encoding", "Proxy-Connection", "Upgrade"];

const connectionFieldInHttp2 = configurationRule(
  "connection-field-in-http2",
  "H8 E4",
  "Clients reset an HTTP/2 stream that has a connection-specific field.",
  (lint) => {
    for (const level of lint.configuration.main.inward()) {
      for (const at of level.own("add_header")) {
        const name = OF_CONNECTION.find((field) => isField(at.args[0], field));
        if (name !== undefined && at.args[1] !== "") reportConnectionField(name, at, level, lint);
      }
    }
  },
);

function reportConnectionField(name: string, at: Directive, level: Level, lint: Lint): void {
  const hasHttp2 = serversOf(level).some((server) => listeningOf(server, lint.version).hasHttp2);
  const isTransferEncoding = name === "Transfer-Encoding";
  const over1 = isTransferEncoding ? "; over HTTP/1.1 nginx sends it twice" : "";
  lint.report(connectionFieldInHttp2, {
    severity: hasHttp2 ? "error" : "warning",
    at,
    location: level.kind === "location" ? level : undefined,
    message: `HTTP/2 clients reset a stream that has the field ${name}${over1}`,
    remedy: "remove the line",
    fix: canRemove(at, level) ? { edits: [removeDirective(at)], changes: ["add_header"] } : undefined,
  });
}

/** Returns the server that contains a level, or all servers inside it. */
function serversOf(level: Level): Level[] {
  const around = level.nearest("server");
  return around === undefined ? [...level.inward()].filter(({ kind }) => kind === "server") : [around];
}

/** The fields that backends send themselves, with the severity of a second one. */
const OF_BACKENDS = [
  { name: "Content-Type", severity: "warning" },
  { name: "Cache-Control", severity: "info" },
] as const;

const fieldTwice = locationRule(
  "field-twice",
  "H9",
  "nginx sends a field in addition to the backend's own.",
  (view, lint) => {
    for (const { name, severity } of OF_BACKENDS) {
      const at = view.addedField(name);
      if (at === undefined || at.args[1] === "" || view.hides(name)) continue;
      const hide = `${view.family}_hide_header`;
      const line = `${hide} ${name};`;
      const hidden = view.all(hide);
      const isSafe = hidden.level === undefined || hidden.level === view.location;
      lint.reportStream(fieldTwice, view, {
        severity,
        at,
        message: `nginx sends ${name} in addition to the backend's own`,
        remedy: line,
        fix: isSafe ? { edits: [insertAfter(view.target.directive, line)], changes: [hide] } : undefined,
      });
    }
  },
);

export const FIELD_RULES: readonly Rule[] = [connectionFieldInHttp2, fieldTwice];
