import { type Command, EXIT, UsageError } from "./command.ts";
import { parseFlags } from "./flags.ts";

const SHELLS = { bash, zsh, fish } as const;

type Commands = Readonly<
  Record<
    string,
    {
      readonly summary: string;
      readonly load: () => Promise<Pick<Command, "help">>;
      readonly subcommands?: Commands;
    }
  >
>;

/** Returns `sluice completion`: a script with which a shell completes these commands and their flags. */
export const completionOf = (commands: Commands): Command => ({
  help: `Usage: sluice completion bash|zsh|fish

Prints a script with which the shell completes commands and flags:

  bash  source <(sluice completion bash)
  zsh   source <(sluice completion zsh)
  fish  sluice completion fish | source
`,
  async run(args) {
    const [shell] = parseFlags(args, {}, 1).words;
    const isShell = (text: string | undefined): text is keyof typeof SHELLS =>
      text !== undefined && Object.hasOwn(SHELLS, text);
    if (!isShell(shell)) throw new UsageError("completion needs a shell: bash, zsh or fish");
    process.stdout.write(SHELLS[shell](await flagsOf(commands)));
    return EXIT.done;
  },
});

/** A command with its summary and the flags that its help names. */
interface Completed {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly string[];
  readonly subcommands: readonly Completed[];
}

async function flagsOf(commands: Commands): Promise<readonly Completed[]> {
  const entries = Object.entries(commands);
  return await Promise.all(
    entries.map(async ([name, { summary, load, subcommands = {} }]) => ({
      name,
      summary,
      flags: flagsIn((await load()).help),
      subcommands: await flagsOf(subcommands),
    })),
  );
}

/** Returns the flags of a help text; tests compare each help with the flags of its command. */
function flagsIn(help: string): string[] {
  return [...new Set([...[...help.matchAll(/--[a-z][a-z0-9-]*/g)].map(([flag]) => flag), "--help"])];
}

/** Returns the words that may follow a command: its subcommands and flags. */
const wordsAfter = ({ subcommands, flags }: Completed): string =>
  [...subcommands.map(({ name }) => name), ...flags].join(" ");

/** Returns the subcommands of all commands, each with its words: `nginx lint`. */
const subcommandsOf = (commands: readonly Completed[]) =>
  commands.flatMap((command) => command.subcommands.map((sub) => ({ command, sub })));

function bash(commands: readonly Completed[]): string {
  const cases = commands.map((command) => `    ${command.name}) words="${wordsAfter(command)}" ;;`);
  const inner = subcommandsOf(commands).map(
    ({ command, sub }) => `    "${command.name} ${sub.name}") words="${wordsAfter(sub)}" ;;`,
  );
  return `_sluice() {
  local words="${commands.map(({ name }) => name).join(" ")} --help --version"
  [ "$COMP_CWORD" -gt 1 ] && case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
    *) words="" ;;
  esac
  [ "$COMP_CWORD" -gt 2 ] && case "\${COMP_WORDS[1]} \${COMP_WORDS[2]}" in
${inner.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _sluice sluice
`;
}

function zsh(commands: readonly Completed[]): string {
  const names = commands.map(({ name, summary }) => `    '${name}:${summary}'`);
  const cases = commands.map((command) => `    ${command.name}) compadd -- ${wordsAfter(command)} ;;`);
  const inner = subcommandsOf(commands).map(
    ({ command, sub }) => `    "${command.name} ${sub.name}") compadd -- ${wordsAfter(sub)}; return ;;`,
  );
  return `#compdef sluice
_sluice() {
  local -a commands=(
${names.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    compadd -- --help --version
    return
  fi
  (( CURRENT > 3 )) && case "$words[2] $words[3]" in
${inner.join("\n")}
  esac
  case $words[2] in
${cases.join("\n")}
  esac
  _files
}
compdef _sluice sluice
`;
}

function fish(commands: readonly Completed[]): string {
  const lines = commands.flatMap(({ name, summary, flags, subcommands }) => [
    `complete -c sluice -n __fish_use_subcommand -a ${name} -d '${summary}'`,
    ...flags.map((flag) => `complete -c sluice -n '__fish_seen_subcommand_from ${name}' -l ${flag.slice(2)}`),
    ...subcommands.flatMap((sub) => [
      `complete -c sluice -n '__fish_seen_subcommand_from ${name}' -a ${sub.name} -d '${sub.summary.replaceAll("'", "\\'")}'`,
      ...sub.flags.map(
        (flag) =>
          `complete -c sluice -n '__fish_seen_subcommand_from ${name}; and __fish_seen_subcommand_from ${sub.name}' -l ${flag.slice(2)}`,
      ),
    ]),
  ]);
  return `${lines.join("\n")}\n`;
}
