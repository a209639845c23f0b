import { type ConfigFiles, YAML_ENDING } from "./config-files.ts";
import type { Problem } from "./problem.ts";

/** Returns a problem for each file that looks like a route and is none: it would be missing without a word. */
export function unreadRoutes(directory: string, names: readonly string[], files: ConfigFiles): Problem[] {
  return names.flatMap((name): Problem[] => {
    const at = { file: `${directory}/${name}`, at: undefined, key: "" };
    if (YAML_ENDING.test(name)) return [];
    const meantName = /^(.+?)(?:\.ya?ml\.txt|\.json)$/i.exec(name)?.[1];
    if (meantName !== undefined) return [{ ...at, message: `not read; did you mean ${meantName}.yaml?` }];
    if (!holdsYaml(at.file, files)) return [];
    return [{ ...at, message: `not read; route files belong directly in ${directory}/` }];
  });
}

/** Whether a path is a directory with YAML files. */
function holdsYaml(path: string, files: ConfigFiles): boolean {
  try {
    return files.names(path).some((name) => YAML_ENDING.test(name));
  } catch {
    return false;
  }
}
