import { Agent, createServer } from "node:http";
import { createProxyServer } from "httpxy";

const [port, backend] = process.argv.slice(2);
// Its own agent stops at 256 sockets: with that, 1,000 streams would hang.
const agent = new Agent({ keepAlive: true });
const proxy = createProxyServer({ target: `http://127.0.0.1:${backend}`, agent });
proxy.on("error", (_error, _request, response) => response?.destroy());
const server = createServer((request, response) => {
  proxy.web(request, response).catch(() => response.destroy());
});
// As long as nginx keeps one; Node's default is 5 s.
server.keepAliveTimeout = 75_000;
server.listen(Number(port), "127.0.0.1", 4096);
