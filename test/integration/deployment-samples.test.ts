import { readFileSync } from "node:fs";
import { Deployment } from "kubernetes-models/apps/v1/Deployment";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { ConfigMap, Service } from "kubernetes-models/v1";
import { describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { type InlineConfig, parseConfig } from "../../src/config/inline.ts";
import { attempt } from "../support/command.ts";

const DOCKER = new URL("../../docker", import.meta.url).pathname;

/** The models of Kubernetes' own API description, by `apiVersion kind`. */
const MODELS = {
  "v1 ConfigMap": ConfigMap,
  "v1 Service": Service,
  "apps/v1 Deployment": Deployment,
  "policy/v1 PodDisruptionBudget": PodDisruptionBudget,
} as const;

type Kind = keyof typeof MODELS;
type Resource = Readonly<Record<string, unknown>> & { readonly metadata: { readonly name: string } };

const resources = parseAllDocuments(readFileSync(`${DOCKER}/kubernetes/sluice.yaml`, "utf8")).map(
  (document) => document.toJS() as Resource,
);
const kindOf = (resource: Resource) => `${resource["apiVersion"]} ${resource["kind"]}` as Kind;
const validate = (resource: Resource) => new MODELS[kindOf(resource)](resource as never).validate();

const named = (kind: Kind, name: string): Resource => {
  const found = resources.find((resource) => kindOf(resource) === kind && resource.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found;
};
const textOf = (map: string, file: string): string =>
  (named("v1 ConfigMap", map)["data"] as Record<string, string>)[file] ?? "";

/** The configuration in the ConfigMaps, with a token in place of the secret, which is not in the sample. */
const inline = (): InlineConfig => {
  const server = parse(textOf("sluice", "sluice.yaml")) as NonNullable<InlineConfig["server"]>;
  return {
    server: { ...server, adminToken: "0123456789abcdef0123456789abcdef" },
    routes: { chat: parse(textOf("sluice-routes", "chat.yaml")) as InlineConfig["routes"][string] },
  };
};

describe("Kubernetes", () => {
  test.each(resources.map((resource) => [kindOf(resource), resource.metadata.name, resource] as const))(
    "%s %s is valid for the Kubernetes API",
    (_kind, _name, resource) => {
      expect(() => validate(resource)).not.toThrow();
    },
  );

  test("control: fields that the API does not know are found", () => {
    const deployment = named("apps/v1 Deployment", "sluice");
    const wrong = { ...deployment, spec: { ...(deployment["spec"] as object), replicas: "two" } };
    expect(() => validate(wrong as Resource)).toThrow(/replicas/);
  });

  test("the configuration in it loads, and the pod's grace period is long enough to drain", () => {
    const { server } = parseConfig(inline());
    const { spec } = (named("apps/v1 Deployment", "sluice")["spec"] as { template: { spec: PodSpec } })
      .template;
    const drainMs = (server.drain.delay ?? 0) + server.drain.timeout;
    expect(spec.terminationGracePeriodSeconds * 1000).toBeGreaterThan(drainMs + 1000);
    const [container] = spec.containers;
    expect(container?.readinessProbe.httpGet.path).toBe("/readyz");
    expect(container?.livenessProbe.httpGet.path).toBe("/healthz");
  });
});

interface PodSpec {
  readonly terminationGracePeriodSeconds: number;
  readonly containers: readonly {
    readonly readinessProbe: { readonly httpGet: { readonly path: string } };
    readonly livenessProbe: { readonly httpGet: { readonly path: string } };
  }[];
}

describe("systemd", () => {
  const unit = readFileSync(`${DOCKER}/systemd/sluice.service`, "utf8");

  test("systemd accepts the unit", async () => {
    const { code, output } = await attempt("systemd-analyze", ["verify", `${DOCKER}/systemd/sluice.service`]);
    expect({ code, output }).toEqual({ code: 0, output: "" });
  });

  test("its stop timeout is long enough to drain with the defaults", () => {
    const { server } = parseConfig({ routes: { any: { match: { path: "/*" }, mock: { status: 204 } } } });
    const seconds = Number(/^TimeoutStopSec=(\d+)s$/m.exec(unit)?.[1]);
    expect(seconds * 1000).toBeGreaterThan((server.drain.delay ?? 0) + server.drain.timeout + 1000);
  });
});
