import { createGrpcWebTransport } from "@connectrpc/connect-node";
import { callService, connectBackend } from "../connectrpc.mjs";

export const packages = ["@connectrpc/connect-node"];
export const label = "`@connectrpc/connect-node`, gRPC-web";
export const backend = connectBackend;
export const read = (baseUrl, round) =>
  callService(createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }), round);
