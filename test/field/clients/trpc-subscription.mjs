import { createTRPCClient, httpSubscriptionLink } from "@trpc/client";
import { EventSource } from "eventsource";
import { TEXT } from "../script.mjs";
import { trpcBackend } from "../trpc.mjs";

export const packages = ["@trpc/client"];
export const label = "subscriptions of `@trpc/client`";
export const backend = trpcBackend;

export function read(url, { saw, signal }) {
  const client = createTRPCClient({ links: [httpSubscriptionLink({ url, EventSource })] });
  let text = "";
  return new Promise((resolve, reject) => {
    const subscription = client.live.subscribe(undefined, {
      signal,
      onData(token) {
        text += token;
        saw(token);
        if (text === TEXT) subscription.unsubscribe();
      },
      onConnectionStateChange: ({ error }) => error && reject(error),
      onError: reject,
      onComplete: resolve,
      onStopped: resolve,
    });
    signal.addEventListener("abort", () => subscription.unsubscribe());
  });
}
