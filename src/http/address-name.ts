import type { AddressInfo } from "node:net";

/** Returns the address of a listening server as the configuration spells it. */
export function addressName(address: AddressInfo | string | null): string {
  if (address === null) throw new TypeError("a listening server has an address");
  if (typeof address === "string") return `unix:${address}`;
  return address.family === "IPv6"
    ? `[${address.address}]:${address.port}`
    : `${address.address}:${address.port}`;
}
