import type { AddressInfo } from "node:net";

/** What a server listens on, in the form the configuration has. */
export function addressName(address: AddressInfo | string | null): string {
  if (address === null) throw new TypeError("a listening server has an address");
  if (typeof address === "string") return `unix:${address}`;
  return address.family === "IPv6"
    ? `[${address.address}]:${address.port}`
    : `${address.address}:${address.port}`;
}
