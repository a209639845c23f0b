import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Deployment } from "kubernetes-models/apps/v1/Deployment";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { ConfigMap, Service } from "kubernetes-models/v1";
import { describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { type InlineConfig, parseConfig } from "../../src/config/inline.ts";
import { attempt } from "../support/command.ts";
import { blocksOf } from "../support/pages.ts";

const DOCKER = new URL("../../docker", import.meta.url).pathname;

/** The models of Kubernetes' own API description, by `apiVersion kind`. */
const MODELS = {
  "v1 ConfigMap": ConfigMap,
  "v1 Service": Service,
  "apps/v1 Deployment": Deployment,
  "policy/v1 PodDisruptionBudget": PodDisruptionBudget,
} as const;

type Kind = keyof typeof MODELS;
type Resource = Readonly<Record<string, unknown>> & { readonly metadata: Metadata };

interface Metadata {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
}

interface PodTemplate {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly containers: readonly {
      readonly ports: readonly { readonly name: string }[];
      readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
    }[];
    readonly volumes: readonly { readonly name: string; readonly secret?: { readonly secretName: string } }[];
  };
}

interface ServiceSpec {
  readonly selector: Readonly<Record<string, string>>;
  readonly publishNotReadyAddresses: boolean;
  readonly ports: readonly { readonly name: string; readonly targetPort: string }[];
}

interface MonitorSpec {
  readonly jobLabel: string;
  readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
  readonly endpoints: readonly {
    readonly port: string;
    readonly authorization: { readonly credentials: { readonly name: string; readonly key: string } };
  }[];
}

const resourcesOf = (text: string) => parseAllDocuments(text).map((document) => document.toJS() as Resource);
const read = (file: string) => readFileSync(`${DOCKER}/${file}`, "utf8");
const resources = resourcesOf(read("kubernetes/sluice.yaml"));
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

describe("the Prometheus Operator", () => {
  const [service, monitor] = resourcesOf(read("kubernetes/monitoring.yaml"));
  const { ports, selector, publishNotReadyAddresses } = (service as Resource)["spec"] as ServiceSpec;
  const template = (named("apps/v1 Deployment", "sluice")["spec"] as { template: PodTemplate }).template;

  test("the Service has the admin port of the pods, also of those that drain", () => {
    expect(() => validate(service as Resource)).not.toThrow();
    expect(template.metadata.labels).toMatchObject(selector);
    const named = template.spec.containers.flatMap((container) => container.ports.map(({ name }) => name));
    expect(named).toContain(ports[0]?.targetPort);
    expect(publishNotReadyAddresses).toBe(true);
  });

  test("the ServiceMonitor selects that Service alone, and has the token that sluice reads", () => {
    const spec = monitor?.["spec"] as MonitorSpec;
    const isSelected = ({ metadata }: Resource) =>
      Object.entries(spec.selector.matchLabels).every(([name, value]) => metadata.labels?.[name] === value);
    const services = [...resources, service as Resource].filter(({ kind }) => kind === "Service");
    expect(services.filter(isSelected)).toEqual([service]);
    // The alerts and the dashboard select the job by this name.
    expect(service?.metadata.labels?.[spec.jobLabel]).toBe("sluice");
    const [endpoint] = spec.endpoints;
    expect(endpoint?.port).toBe(ports[0]?.name);
    const { name, key } = endpoint?.authorization.credentials ?? {};
    const volume = template.spec.volumes.find(({ secret }) => secret?.secretName === name)?.name;
    const mount = template.spec.containers[0]?.volumeMounts.find((one) => one.name === volume);
    const { adminToken } = parse(textOf("sluice", "sluice.yaml")) as { adminToken: string };
    expect(adminToken).toBe(`file:${mount?.mountPath}/${key}`);
  });

  test("the command of the page makes a PrometheusRule of the alerts", async () => {
    const block = blocksOf("docs/kubernetes.md").find(({ text }) => text.includes("prometheus-rule"));
    const command = block?.text.replace("kubectl apply -f -", "cat") ?? "";
    const { code, stdout } = await attempt("bash", ["-c", command], { cwd: `${DOCKER}/..` });
    expect(code).toBe(0);
    expect(resourcesOf(stdout)).toMatchObject([
      { kind: "PrometheusRule", spec: parse(read("observe/alerts.yaml")) },
    ]);
  });
});

describe("Prometheus and Grafana in compose", () => {
  const { services, secrets } = parse(read("observe/compose.yaml")) as Compose;
  const mounts = Object.values(services).flatMap(({ volumes }) => volumes);
  const mountedAt = (target: string) => mounts.find((mount) => mount.split(":")[1] === target)?.split(":")[0];
  const server = parse(read("observe/sluice.yaml")) as Record<"admin" | "adminToken", string>;

  test("every mounted file exists, and is where the programs look for it", () => {
    const files = mounts.filter((mount) => mount.startsWith("./")).map((mount) => mount.split(":")[0] ?? "");
    expect(files.filter((file) => !existsSync(join(DOCKER, file)))).toEqual([]);
    const config = services["prometheus"]?.command?.[0]?.split("=")[1] ?? "";
    expect(mountedAt(config)).toBe("./observe/prometheus.yaml");
    const { rule_files } = parse(read("observe/prometheus.yaml")) as PrometheusConfig;
    expect(rule_files.map((file) => mountedAt(join(config, "..", file)))).toEqual(["./observe/alerts.yaml"]);
    const { providers } = parse(read("observe/grafana/dashboards.yaml")) as Providers;
    expect(mountedAt(join(providers[0].options.path, "sluice.json"))).toBe("./observe/grafana/sluice.json");
    const { datasources } = parse(read("observe/grafana/datasource.yaml")) as DataSources;
    expect(Object.keys(services)).toContain(new URL(datasources[0].url).hostname);
  });

  test("Prometheus asks the admin listener of sluice, with the token that sluice reads", () => {
    const [job] = (parse(read("observe/prometheus.yaml")) as PrometheusConfig).scrape_configs;
    expect(job.static_configs[0].targets).toEqual([`sluice:${server.admin.split(":")[1]}`]);
    const [secret] = Object.keys(secrets);
    for (const name of ["sluice", "prometheus"]) expect(services[name]?.secrets).toEqual([secret]);
    expect(server.adminToken).toBe(`file:/run/secrets/${secret}`);
    expect(job.authorization.credentials_file).toBe(`/run/secrets/${secret}`);
  });

  test("the configuration of sluice is that of docker/config with an admin listener", () => {
    const { admin: _, adminToken: __, ...rest } = parse(read("observe/sluice.yaml"));
    expect(rest).toEqual(parse(read("config/sluice.yaml")));
    expect(mountedAt("/etc/sluice/sluice.yaml")).toBe("./observe/sluice.yaml");
  });
});

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly volumes: readonly string[];
        readonly secrets?: readonly string[];
        readonly command?: readonly string[];
      }
    >
  >;
  readonly secrets: Readonly<Record<string, unknown>>;
}

interface PrometheusConfig {
  readonly rule_files: readonly string[];
  readonly scrape_configs: readonly [
    {
      readonly authorization: { readonly credentials_file: string };
      readonly static_configs: readonly [{ readonly targets: readonly string[] }];
    },
  ];
}

interface Providers {
  readonly providers: readonly [{ readonly options: { readonly path: string } }];
}

interface DataSources {
  readonly datasources: readonly [{ readonly url: string }];
}

test("the samples build and run the version of package.json", () => {
  const { version } = JSON.parse(readFileSync(`${DOCKER}/../package.json`, "utf8")) as { version: string };
  const text = (file: string) => readFileSync(`${DOCKER}/${file}`, "utf8");
  expect(text("docker-bake.hcl")).toContain(`variable "VERSION" {\n  default = "${version}"`);
  for (const file of ["compose.yaml", "kubernetes/sluice.yaml"])
    expect(text(file).match(/sluice:\d+\.\d+\.\d+/g)).toEqual([`sluice:${version}`]);
});

describe("systemd", () => {
  const file = `${DOCKER}/systemd/sluice.service`;
  const unit = readFileSync(file, "utf8");

  test("systemd accepts the unit", async () => {
    const { code, output } = await attempt("systemd-analyze", ["verify", file]);
    expect({ code, output }).toEqual({ code: 0, output: "" });
  });

  test("systemd rates its exposure below 2 of 10", async () => {
    const { output } = await attempt("systemd-analyze", ["security", "--offline=true", "--no-pager", file]);
    expect(Number(/Overall exposure level for sluice\.service: ([\d.]+)/.exec(output)?.[1])).toBeLessThan(2);
  });

  test("its check before a reload reads the configuration that the service reads", () => {
    const [, start] = /^ExecStart=(.*) serve (?<flags>.*)$/m.exec(unit) ?? [];
    expect(unit).toContain(
      `ExecReload=${start} check ${/ serve (.*)$/m.exec(unit)?.[1]}\nExecReload=/bin/kill -HUP`,
    );
  });

  test("its stop timeout is long enough to drain with the defaults", () => {
    const { server } = parseConfig({ routes: { any: { match: { path: "/*" }, mock: { status: 204 } } } });
    const seconds = Number(/^TimeoutStopSec=(\d+)s$/m.exec(unit)?.[1]);
    expect(seconds * 1000).toBeGreaterThan((server.drain.delay ?? 0) + server.drain.timeout + 1000);
  });
});
