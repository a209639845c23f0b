import { createServer } from "node:http";
import { create, createFileRegistry } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  file_google_protobuf_wrappers,
  StringValueSchema,
} from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { ERROR_TEXT } from "./script.mjs";

const type = `.${StringValueSchema.typeName}`;
const method = { name: "Say", inputType: type, outputType: type, serverStreaming: true };
const file = create(FileDescriptorProtoSchema, {
  name: "speaker.proto",
  syntax: "proto3",
  dependency: [file_google_protobuf_wrappers.proto.name],
  service: [{ name: "Speaker", method: [method] }],
});
const service = createFileRegistry(file, () => file_google_protobuf_wrappers.proto).getService("Speaker");

/** A service that streams the tokens, by gRPC-web and by the Connect protocol. */
export function connectBackend(script) {
  async function* say() {
    if (script.round.mode === "error") throw new ConnectError(ERROR_TEXT, Code.ResourceExhausted);
    for await (const value of script.round.tokens()) yield { value };
  }
  return createServer(connectNodeAdapter({ routes: (router) => router.service(service, { say }) }));
}

/** Reads the stream over a transport. */
export async function callService(transport, { saw, signal }) {
  for await (const { value } of createClient(service, transport).say({}, { signal })) saw(value);
}
