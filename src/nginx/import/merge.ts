import type { Draft } from "./coverage.ts";
import type { Notes } from "./notes.ts";

/** Merges routes with the same host and path: servers on different ports often have the same locations. */
export function merged(drafts: readonly Draft[], left: Notes): Draft[] {
  const kept = new Map<string, Draft>();
  for (const draft of drafts) {
    const place = JSON.stringify(draft.route.match);
    const first = kept.get(place);
    if (first === undefined) kept.set(place, draft);
    else if (bodyText(first) !== bodyText(draft)) {
      left.add(draft.from, `not imported: ${first.from.at} has the same host and path`);
    }
  }
  // `/x/*` also matches `/x`.
  const all = [...kept.values()];
  return all.filter((draft) => {
    const { match } = draft.route;
    const above = kept.get(JSON.stringify({ ...match, path: `${match.path}/*` }));
    return above === undefined || bodyText(above) !== bodyText(draft);
  });
}

/** Joins the routes that one location became for the hosts of its server. */
export function grouped(drafts: readonly Draft[]): Draft[] {
  const groups = new Map<string, { readonly draft: Draft; readonly hosts: string[] }>();
  const locations = [...new Set(drafts.map(({ from }) => from))];
  const numbers = new Map(locations.map((location, at) => [location, at]));
  for (const draft of drafts) {
    const { host, ...match } = draft.route.match;
    const own = host === undefined ? [] : [host].flat();
    // A route without host stays alone: it has no list of hosts.
    const key = JSON.stringify([host === undefined, match, numbers.get(draft.from), bodyText(draft)]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { draft, hosts: own });
    else group.hosts.push(...own);
  }
  return [...groups.values()].map(({ draft, hosts }) => {
    if (hosts.length < 2) return draft;
    const match = { ...draft.route.match, host: hosts };
    return { ...draft, route: { ...draft.route, match } };
  });
}

const bodyText = ({ route }: Draft): string => JSON.stringify({ ...route, match: undefined });
