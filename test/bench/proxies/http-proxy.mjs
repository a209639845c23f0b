import { Agent, createServer } from "node:http";
import httpProxy from "http-proxy";

const [port, backend] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true });
const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${backend}`, agent });
proxy.on("error", (_error, _request, response) => response.destroy());
const server = createServer((request, response) => proxy.web(request, response));
// As long as nginx keeps one; Node's default is 5 s.
server.keepAliveTimeout = 75_000;
server.listen(Number(port), "127.0.0.1", 4096);
