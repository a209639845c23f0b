import { Agent, createServer } from "node:http";
import httpProxy from "http-proxy";

const [port, backend] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true });
const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${backend}`, agent });
proxy.on("error", (_error, _request, response) => response.destroy());
createServer((request, response) => proxy.web(request, response)).listen(Number(port), "127.0.0.1", 4096);
