import { KubeConfig, Watch } from "@kubernetes/client-node";
import { ERROR_TEXT } from "../script.mjs";
import { scripted } from "../wires.mjs";

export const packages = ["@kubernetes/client-node"];
export const label = "watch of `@kubernetes/client-node`";
export const backend = scripted({
  type: "application/json",
  token: (name) => `${JSON.stringify({ type: "ADDED", object: { kind: "Pod", metadata: { name } } })}\n`,
  error: { kind: "Status", message: ERROR_TEXT, code: 429 },
});

export async function read(server, { saw, signal }) {
  const config = new KubeConfig();
  config.loadFromClusterAndUser({ name: "c", server, skipTLSVerify: true }, { name: "u" });
  const { promise, resolve, reject } = settleable();
  const onEvent = (_type, { metadata }) => saw(metadata.name);
  const request = await new Watch(config).watch("/api/v1/pods", {}, onEvent, (error) =>
    error ? reject(error) : resolve(),
  );
  signal.addEventListener("abort", () => request.abort());
  await promise;
}

function settleable() {
  let resolve, reject;
  const promise = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}
