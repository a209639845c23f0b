import { Suspense } from "react";

export const dynamic = "force-dynamic";

async function Part({ promise }) {
  return <p>{await promise}</p>;
}

/** A page of parts that the server streams one by one: applications/next.mjs sets `nextParts`. */
export default function Page() {
  return globalThis.nextParts().map((promise, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: the parts never move
    <Suspense key={index} fallback={<i>…</i>}>
      <Part promise={promise} />
    </Suspense>
  ));
}
