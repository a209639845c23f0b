// The same in TypeScript: the test compiles it and so checks the types.
import { type Config, createGateway, type Gateway, type InlineConfig, parseConfig, readConfig } from "sluice";

const inline: InlineConfig = {
  server: { listen: [8000, "unix:/run/sluice.sock"], drain: { timeout: "5s" } },
  routes: { chat: { match: { path: "/chat" }, upstream: "http://127.0.0.1:8080", cors: true } },
};
const config: Config = parseConfig(inline);
const fromFiles: Config = readConfig("./config");
const gateway: Gateway = createGateway(config);

export async function run(): Promise<readonly string[]> {
  const addresses = await gateway.listen();
  await gateway.reload(fromFiles);
  await gateway.close();
  return addresses;
}

// @ts-expect-error: a path is text
parseConfig({ routes: { chat: { match: { path: 5 }, upstream: "http://127.0.0.1:8080" } } });
