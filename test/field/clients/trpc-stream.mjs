import { createTRPCClient, httpBatchStreamLink } from "@trpc/client";
import { trpcBackend } from "../trpc.mjs";

export const packages = ["@trpc/client"];
export const label = "streamed batches of `@trpc/client`";
export const backend = trpcBackend;

export async function read(url, { saw, signal }) {
  const client = createTRPCClient({ links: [httpBatchStreamLink({ url })] });
  for await (const token of await client.streamed.query(undefined, { signal })) saw(token);
}
