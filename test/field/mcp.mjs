import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";

/** A client waits this long for the result of a call whose stream broke off. */
const PATIENCE_MS = 8_000;

/** An MCP server with a tool that reports the tokens as its progress. */
export function mcpServer(script) {
  const server = new McpServer({ name: "scripted", version: "1.0.0" });
  server.registerTool("say", {}, async ({ _meta, sendNotification }) => {
    let progress = 0;
    for await (const message of script.round.tokens()) {
      progress += 1;
      const params = { progressToken: _meta.progressToken, progress, message };
      await sendNotification({ method: "notifications/progress", params });
    }
    return { content: [] };
  });
  return server;
}

/** Calls the tool over a transport. */
export async function callTool(transport, { saw, signal }) {
  const client = new Client({ name: "field", version: "1.0.0" });
  await client.connect(transport);
  signal.addEventListener("abort", () => client.close());
  const options = { onprogress: ({ message }) => saw(message), timeout: PATIENCE_MS };
  try {
    await client.callTool({ name: "say" }, undefined, options);
  } finally {
    await client.close();
  }
}
