import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterTest } from "./after-test.ts";
import { certificate } from "./certificate.ts";

/** The paths of a certificate and its key for a configuration. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** Writes a certificate and its key to files; removes them when the test ends. */
export async function certificateFiles({
  cert,
  key,
}: {
  readonly cert: string;
  readonly key: string;
} = certificate): Promise<CertificateFiles> {
  const directory = await mkdtemp(join(tmpdir(), "sluice-certificate-"));
  afterTest(() => rm(directory, { recursive: true, force: true }));
  const files = { cert: join(directory, "cert.pem"), key: join(directory, "key.pem") };
  await writeFile(files.cert, cert);
  await writeFile(files.key, key);
  return files;
}
