/**
 * Merges the `defaults` of sluice.yaml into a route file, before variables are filled in and anything is validated: a
 * route is then checked as if it had written every key itself.
 *
 * A key of the route wins. Objects are merged key by key; any other value, a list too, replaces the default.
 */
export function withDefaults(route: unknown, defaults: Fields): unknown {
  if (!isRecord(route)) return route;
  const merged = merge(route, withoutWebSocket(route, defaults), "");
  const { stages } = route;
  if (!isRecord(stages)) return merged;
  const environments = Object.entries(stages).map(([name, own]) => [name, stageWith(own, defaults)]);
  return { ...merged, stages: Object.fromEntries(environments) };
}

type Fields = Readonly<Record<string, unknown>>;

/** `websocket: false` of a route takes the default `upgrade: [websocket]` off, which means the same as `true`. */
function withoutWebSocket({ websocket }: Fields, defaults: Fields): Fields {
  const { upgrade } = defaults;
  if (websocket !== false || !Array.isArray(upgrade)) return defaults;
  return { ...defaults, upgrade: upgrade.filter((name) => String(name).toLowerCase() !== "websocket") };
}

/** Merges the defaults into an environment with an upstream or a rewrite of its own. Without, it has the route's. */
function stageWith(own: unknown, { upstream, rewrite }: Fields): unknown {
  if (!isRecord(own)) return own;
  const parts = {
    ...("upstream" in own && upstream !== undefined && { upstream }),
    ...("rewrite" in own && rewrite !== undefined && { rewrite }),
  };
  return merge(own, parts, "");
}

/** Merges two objects at a path such as `upstream.sticky`, which is empty for a route as a whole. */
function merge(own: Fields, preset: Fields, path: string): Record<string, unknown> {
  const kept = withoutRivals(own, preset, path);
  const merged: Record<string, unknown> = { ...kept };
  for (const [key, value] of Object.entries(own)) {
    const below = path === "" ? key : `${path}.${key}`;
    merged[key] = Object.hasOwn(kept, key) ? mergeValues(value, kept[key], below) : value;
  }
  return merged;
}

function mergeValues(own: unknown, preset: unknown, path: string): unknown {
  const [ownForm, presetForm] = [longForm(own, path), longForm(preset, path)];
  return isRecord(ownForm) && isRecord(presetForm) ? merge(ownForm, presetForm, path) : own;
}

/** Returns the object that a short form stands for: otherwise `upstream: URL` would discard the default's timeouts. */
function longForm(value: unknown, path: string): unknown {
  const key = Object.hasOwn(SHORT_FORMS, path) ? SHORT_FORMS[path] : undefined;
  if (key === undefined || isRecord(value)) return value;
  if (path === "auth.app") return Array.isArray(value) ? { [key]: value } : value;
  if (typeof value !== "string" || value === "off") return value;
  return { [key]: path === "upstream" ? [{ url: value }] : value };
}

const SHORT_FORMS: Readonly<Record<string, string>> = {
  upstream: "backends",
  "auth.app": "apps",
  "upstream.sticky.cookie": "name",
  "upstream.sticky.learn": "field",
};

/**
 * Returns the defaults without those that a key of the route excludes: its `mock` excludes an `upstream`, and a
 * credential that it names excludes others, which would let more clients in than the route file says.
 */
function withoutRivals(own: Fields, preset: Fields, path: string): Fields {
  const rivals = RIVALS.find((group) => group.path === path && group.keys.some((key) => isSet(own[key])));
  const excluded = (key: string) =>
    (rivals?.keys.includes(key) === true && !Object.hasOwn(own, key)) || isNamedOtherwise(own, key, path);
  const kept = Object.entries(preset).filter(([key]) => !excluded(key));
  return Object.fromEntries(kept.map(([key, value]) => [key, withoutEdited(value, own, key, path)]));
}

const RIVALS = [
  { path: "", keys: ["upstream", "mock"] },
  { path: "auth", keys: ["app", "appCode", "jwt"] },
  { path: "upstream.sticky", keys: ["cookie", "learn"] },
];

const isSet = (value: unknown): boolean => value !== undefined && value !== false && value !== "off";

/** Objects whose keys are names of header fields, which are equal in any case. */
const FIELD_NAMES = new Set(["headers.request.set", "headers.response.set", "auth.jwt.claims"]);

/** Whether the route has the same field in another case; both would be two values of one field. */
function isNamedOtherwise(own: Fields, name: string, path: string): boolean {
  if (!FIELD_NAMES.has(path)) return false;
  const lower = name.toLowerCase();
  return Object.keys(own).some((key) => key !== name && key.toLowerCase() === lower);
}

/** Returns the default `headers.*.set` without the fields that the route removes: fields are set after the removal. */
function withoutEdited(value: unknown, own: Fields, key: string, path: string): unknown {
  const { remove } = own;
  if (key !== "set" || !FIELD_NAMES.has(`${path}.set`) || !isRecord(value) || !Array.isArray(remove)) {
    return value;
  }
  const removed = new Set(remove.map((name) => String(name).toLowerCase()));
  return Object.fromEntries(Object.entries(value).filter(([name]) => !removed.has(name.toLowerCase())));
}

function isRecord(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
