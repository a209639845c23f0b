import { createServer } from "node:http";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { callTool, mcpServer } from "../mcp.mjs";
import { refusing } from "../wires.mjs";

export const packages = ["@modelcontextprotocol/sdk"];
export const label = "`@modelcontextprotocol/sdk`, streamable HTTP";

export const backend = (script) =>
  createServer(
    refusing(script, async (request, response) => {
      // Without a session: each request has a server of its own.
      const transport = new StreamableHTTPServerTransport({});
      await mcpServer(script).connect(transport);
      await transport.handleRequest(request, response);
    }),
  );

export const read = (url, round) => callTool(new StreamableHTTPClientTransport(new URL(url)), round);
