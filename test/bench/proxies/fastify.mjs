import httpProxy from "@fastify/http-proxy";
import fastify from "fastify";

const [port, backend] = process.argv.slice(2);
const server = fastify();
// undici's pool holds 128 connections by default: with that, 1,000 streams would hang.
await server.register(httpProxy, {
  upstream: `http://127.0.0.1:${backend}`,
  undici: { connections: 20_000 },
});
await server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
