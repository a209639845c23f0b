import { resolve } from "node:path";
import * as z from "zod";
import { readAuthorities, readCertificate } from "./certificate-file.ts";

const pemFile = z.string("expected the path of a PEM file");

/** How the servers are verified, and the certificate that sluice shows them; each in PEM form. */
export interface RedisTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
}

/** Returns the schema of `redis.tls`; its files are named relative to `directory`. */
export function redisTlsIn(directory: string) {
  const tlsObject = z
    .strictObject({
      ca: pemFile
        .optional()
        .describe("A PEM file with the certificate authorities to trust, instead of the well-known ones."),
      cert: pemFile.optional().describe("sluice's own certificate and its chain, PEM."),
      key: pemFile.optional().describe("Its private key, PEM, without a passphrase."),
      serverName: z
        .string()
        .regex(/^(?=.{1,253}$)[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/, "expected a host name")
        .optional()
        .describe(
          "The name for SNI and for the check of the certificate; the host of each server by default.",
        ),
    })
    .transform(({ ca, cert, key, serverName }, ctx): RedisTls => {
      const issue = (name: string, message: string) =>
        ctx.addIssue({ code: "custom", path: [name], message });
      const authorities = ca === undefined ? undefined : readAuthorities(resolve(directory, ca));
      if (authorities !== undefined && "problem" in authorities) issue("ca", authorities.problem);
      if (cert === undefined && key !== undefined) issue("key", "expected cert as well");
      if (cert !== undefined && key === undefined) issue("cert", "expected key as well");
      const own =
        cert === undefined || key === undefined ? undefined : readCertificate({ cert, key }, directory);
      if (own !== undefined && "problem" in own) issue(own.key, own.problem);
      return {
        ...(authorities !== undefined && "certificates" in authorities && { ca: authorities.certificates }),
        ...(own !== undefined && "certificate" in own && own.certificate),
        ...(serverName !== undefined && { serverName }),
      };
    });
  const on = z.literal(true).transform((): RedisTls => ({}));
  return z.union([on, tlsObject], "expected true, or an object with ca, cert, key and serverName");
}
