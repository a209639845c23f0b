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

/** Starts a gateway with an admin listener on a free port. */
export const startWithAdmin = ({ server = {}, ...setup }: GatewaySetup): Promise<GatewayFixture> =>
  startGateway({ ...setup, server: { admin: 0, ...server } });

/** Sends a request to the admin listener with any fields: fetch would not send a Host field of the test's. */
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

/** Returns the samples of `/metrics` by name and labels as written. */
export async function metricsOf(gateway: GatewayFixture): Promise<ReadonlyMap<string, number>> {
  return samplesIn((await askAdmin(gateway, "/metrics")).text);
}

/** Parses the samples of a text in Prometheus format. */
export function samplesIn(text: string): ReadonlyMap<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line): [string, number] => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

/** Returns the views in the text of a dashboard's event stream; each event has the parts that differ from the last. */
export function viewsIn<View>(text: string): View[] {
  let view: Record<string, unknown> = {};
  return [...text.matchAll(/^event: overview\ndata: (.*)\n\n/gm)].map(([, json = ""]) => {
    view = { ...view, ...(JSON.parse(json) as Record<string, unknown>) };
    return view as View;
  });
}
