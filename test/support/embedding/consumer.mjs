// A program that embeds the gateway, in plain JavaScript; the test checks its output.
import { ConfigError, createGateway, parseConfig } from "sluice";

const configOf = (body) =>
  parseConfig({
    server: { listen: "127.0.0.1:0", admin: false, log: { level: "silent" } },
    routes: {
      page: { match: { path: "/page" }, mock: { status: 200, body } },
      clock: { match: { path: "/clock" }, mock: { events: [{ data: "tick" }] } },
    },
  });

const gateway = createGateway(configOf("one"));
const [address] = await gateway.listen();
const read = async (path) => (await fetch(`http://${address}${path}`)).text();

const seen = [await read("/page"), await read("/clock")];
await gateway.reload(configOf("two"));
seen.push(await read("/page"));
await gateway.close();

try {
  parseConfig({ routes: { bad: { match: { path: "chat" }, upstream: "ftp://x" } } });
} catch (error) {
  seen.push(error instanceof ConfigError ? error.problems.map(({ file, key }) => `${file} ${key}`) : error);
}
console.log(JSON.stringify(seen));
