import type * as z from "zod";
import { type ListenAddress, spellAddress } from "./address-schema.ts";
import type { ListenConfig } from "./listen-schema.ts";

interface Addresses {
  readonly listen: readonly ListenConfig[];
  readonly admin: ListenAddress | undefined;
}

/** Refuses two listeners of which the second could not open its address. */
export function refuseTwice({ listen, admin }: Addresses, ctx: z.RefinementCtx): void {
  const addresses = listen.map(({ address }) => address);
  for (const [at, address] of addresses.entries()) {
    const other = addresses.slice(0, at).findIndex((earlier) => overlap(earlier, address));
    if (other < 0) continue;
    const message = `${spellAddress(address)} is an address of listen[${other}] too; expected another port`;
    ctx.addIssue({ code: "custom", path: ["listen", at], message });
  }
  if (admin === undefined || !addresses.some((address) => overlap(address, admin))) return;
  const message = `${spellAddress(admin)} is an address of listen; the admin listener needs a port of its own`;
  ctx.addIssue({ code: "custom", path: ["admin"], message });
}

/** Whether the kernel would refuse the second of two addresses. */
function overlap(a: ListenAddress, b: ListenAddress): boolean {
  if ("path" in a || "path" in b) return "path" in a && "path" in b && a.path === b.path;
  // Port 0 stands for any free port.
  if (a.port !== b.port || a.port === 0) return false;
  const [hostA, hostB] = [hostOf(a.host), hostOf(b.host)];
  return hostA === hostB || isEvery(hostA) || isEvery(hostB);
}

const hostOf = (host: string | undefined): string => (host === "localhost" ? "127.0.0.1" : (host ?? "::"));

const isEvery = (host: string): boolean => host === "::" || host === "0.0.0.0";
