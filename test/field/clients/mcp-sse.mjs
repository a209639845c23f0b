import { createServer } from "node:http";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { SSEServerTransport } from "@modelcontextprotocol/sdk/server/sse.js";
import { callTool, mcpServer } from "../mcp.mjs";
import { refusing } from "../wires.mjs";

export const packages = ["@modelcontextprotocol/sdk"];
export const label = "`@modelcontextprotocol/sdk`, SSE";

export function backend(script) {
  const transports = new Map();
  return createServer(
    refusing(script, async (request, response) => {
      const id = new URL(request.url, "http://localhost").searchParams.get("sessionId");
      if (request.method === "POST") return await transports.get(id).handlePostMessage(request, response);
      const transport = new SSEServerTransport("/messages", response);
      transports.set(transport.sessionId, transport);
      await mcpServer(script).connect(transport);
    }),
  );
}

export const read = (url, round) => callTool(new SSEClientTransport(new URL(`${url}/sse`)), round);
