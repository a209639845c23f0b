import { request } from "node:http";
import { type GatewayFixture, type GatewaySetup, startGateway } from "./gateway.ts";

export interface AdminAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
}

interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A gateway with an admin listener on a free port. */
export const startWithAdmin = ({ server = {}, ...setup }: GatewaySetup): Promise<GatewayFixture> =>
  startGateway({ ...setup, server: { admin: 0, ...server } });

/** One request to the admin listener, with whatever fields: fetch would not send a Host of ours. */
export function askAdmin({ adminUrl }: GatewayFixture, path: string, ask: Ask = {}): Promise<AdminAnswer> {
  const { method = "GET", headers = {}, body } = ask;
  return new Promise((resolve, reject) => {
    const sent = request(adminUrl + path, { method, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
      });
      response.once("end", () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
    });
    sent.once("error", reject);
    sent.end(body);
  });
}

/** The samples of `/metrics`, by their name and labels as written. */
export async function metricsOf(gateway: GatewayFixture): Promise<ReadonlyMap<string, number>> {
  return samplesIn((await askAdmin(gateway, "/metrics")).text);
}

/** The samples of a text in the format of Prometheus. */
export function samplesIn(text: string): ReadonlyMap<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line): [string, number] => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}
