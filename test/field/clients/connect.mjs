import { createServer } from "node:http";
import { create, createFileRegistry } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  file_google_protobuf_wrappers,
  StringValueSchema,
} from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createGrpcWebTransport } from "@connectrpc/connect-node";
import { ERROR_TEXT } from "../script.mjs";

const type = `.${StringValueSchema.typeName}`;
const method = { name: "Say", inputType: type, outputType: type, serverStreaming: true };
const file = create(FileDescriptorProtoSchema, {
  name: "speaker.proto",
  syntax: "proto3",
  dependency: [file_google_protobuf_wrappers.proto.name],
  service: [{ name: "Speaker", method: [method] }],
});
const service = createFileRegistry(file, () => file_google_protobuf_wrappers.proto).getService("Speaker");

export const packages = ["@connectrpc/connect-node"];
export const label = "`@connectrpc/connect-node` (gRPC-web)";

export function backend(script) {
  async function* say() {
    if (script.round.mode === "error") throw new ConnectError(ERROR_TEXT, Code.ResourceExhausted);
    for await (const value of script.round.tokens()) yield { value };
  }
  return createServer(connectNodeAdapter({ routes: (router) => router.service(service, { say }) }));
}

export async function read(baseUrl, { saw, signal }) {
  const client = createClient(service, createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }));
  for await (const { value } of client.say({}, { signal })) saw(value);
}
