import { Gauge, type Registry } from "prom-client";
import { spellAddress } from "../config/address-schema.ts";
import type { ListenConfig } from "../config/listen-schema.ts";

/** Declares when the certificates of the listeners expire, read at each scrape: a reload replaces them. */
export function declareCertificates(registers: Registry[], listen: () => readonly ListenConfig[]): void {
  new Gauge({
    name: "sluice_certificate_expiry_timestamp_seconds",
    help: "When a certificate of a listener expires, in seconds since 1970.",
    labelNames: ["listener", "file"],
    // All processes of a gateway have the same certificates, except while they reload.
    aggregator: "min",
    registers,
    collect() {
      this.reset();
      for (const { address, tls = [] } of listen())
        for (const { file, expiresAt } of tls)
          this.set({ listener: spellAddress(address), file }, expiresAt / 1000);
    },
  });
}
