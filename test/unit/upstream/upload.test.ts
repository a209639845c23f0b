import type { Socket } from "node:net";
import { PassThrough, Readable } from "node:stream";
import { expect, test } from "vitest";
import { Upload } from "../../../src/upstream/upload.ts";
import { eventually } from "../../support/eventually.ts";

/** A request's body, as Node's parser gives it. */
const bodyOf = (stream: Readable) => Object.assign(stream, { rawTrailers: [] as string[] });

function upload(stream: Readable) {
  const outcomes: boolean[] = [];
  const socket = new PassThrough() as unknown as Socket;
  let received = 0;
  const account = {
    addReceived(bytes: number) {
      received += bytes;
    },
  };
  const body = { stream: bodyOf(stream), length: 3, trailersOf: () => [], account };
  new Upload(socket, "head", body, {
    onDone: (isWhole) => outcomes.push(isWhole),
    onFault: (error) => expect.fail(String(error)),
  });
  return { outcomes, received: () => received };
}

test("a body that was aborted before its upload began is reported as incomplete, and the backend does not wait for it", async () => {
  const stream = new Readable({ read() {} });
  stream.on("error", () => {});
  stream.destroy(new Error("aborted"));
  await new Promise((resolve) => stream.once("close", resolve));
  const { outcomes } = upload(stream);
  await eventually(() => outcomes.length > 0, "the end of the upload");
  expect(outcomes).toEqual([false]);
});

test("a body that has arrived is sent whole, and its bytes are counted", async () => {
  const { outcomes, received } = upload(Readable.from([Buffer.from("abc")]));
  await eventually(() => outcomes.length > 0, "the end of the upload");
  expect(outcomes).toEqual([true]);
  expect(received()).toBe(3);
});
