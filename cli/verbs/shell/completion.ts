import type { Command, Option } from 'commander'
import { readContexts } from '../../api/contexts.ts'
import { findCredentials } from '../../api/credentials.ts'
import { apiOf } from '../../api/http.ts'
import type { JobReply, NodeReply } from '../../api/replies.ts'
import { type AddVerb, addVerb, type Cli, onRun } from '../../verb.ts'

/** Each script calls the command, so that it completes the verbs of the installed version, and names of living jobs and nodes. */
const scripts: Readonly<Record<string, string>> = {
  bash: `_mayfly() {
  local IFS=$'\\n'
  COMPREPLY=($(mayfly __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _mayfly mayfly`,
  zsh: `#compdef mayfly
_mayfly() {
  local -a found
  found=("\${(@f)$(mayfly __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -- "\${found[@]}"; else _files; fi
}
# As a file in fpath, this is run by the first completion; sourced, it is run at the start of a shell.
if [[ "\${funcstack[1]}" == _mayfly ]]; then _mayfly "$@"; else compdef _mayfly mayfly; fi`,
  fish: `function __mayfly_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l found (mayfly __complete -- $words[2..-1] "$current" 2>/dev/null)
  if set -q found[1]
    printf '%s\\n' $found
  else
    __fish_complete_path "$current"
  end
end
complete -c mayfly -f -a '(__mayfly_complete)'`,
}

/** A shell does not wait longer for names. */
const ASK_MS_MAX = 1_000

export const completion: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'completion', {
    summary: 'print the completion script of a shell',
    details: 'It completes verbs, options, and the names of living jobs and nodes.',
    examples: [
      'source <(mayfly completion bash)   # in ~/.bashrc',
      'mayfly completion zsh > "${fpath[1]}/_mayfly"',
      'mayfly completion fish > ~/.config/fish/completions/mayfly.fish',
    ],
  })
  verb.addArgument(verb.createArgument('<shell>', 'bash, zsh or fish').choices(Object.keys(scripts)))
  onRun(verb, cli, async ([shell = '']) => cli.terminal.print(scripts[shell] as string))

  const asked = parent.command('__complete', { hidden: true }).argument('[words...]')
  onRun(asked, cli, async (words) => {
    for (const candidate of await candidates(parent, words, cli)) cli.terminal.print(candidate)
  })
}

/** The candidates for the last word, which may be incomplete. */
async function candidates(program: Command, words: readonly string[], cli: Cli): Promise<string[]> {
  const current = words.at(-1) ?? ''
  let command = program
  let place = 0
  let open: Option | null = null
  const flags: Record<string, string> = {}
  for (const word of words.slice(0, -1)) {
    const option = command.options.find(({ long, short }) => word === long || word === short)
    const sub = command.commands.find((each) => each.name() === word)
    if (open !== null) {
      flags[open.attributeName()] = word
      open = null
    } else if (option !== undefined) open = option.required ? option : null
    else if (word.startsWith('-')) continue
    else if (sub !== undefined && place === 0) command = sub
    else place++
  }
  const all =
    open !== null ? await valuesOf(open, cli) : await wordsOf(command, { place, current, flags, cli })
  return all.filter((candidate) => candidate.startsWith(current)).sort()
}

async function valuesOf(option: Option, { config }: Cli): Promise<readonly string[]> {
  if (option.long === '--context') return Object.keys(readContexts(config).contexts)
  return option.argChoices ?? []
}

async function wordsOf(
  command: Command,
  { place, current, flags, cli }: { place: number; current: string; flags: Record<string, string>; cli: Cli },
): Promise<readonly string[]> {
  if (current.startsWith('-')) return [...command.options.flatMap(({ long }) => long ?? []), '--help']
  const subs =
    place === 0
      ? command
          .createHelp()
          .visibleCommands(command)
          .map((each) => each.name())
      : []
  const argument =
    command.registeredArguments[place] ?? command.registeredArguments.findLast(({ variadic }) => variadic)
  if (argument?.argChoices !== undefined) return [...subs, ...argument.argChoices]
  const name = argument?.name()
  if (name !== 'job' && name !== 'node' && !(name === 'name' && command.parent?.name() === 'context'))
    return subs
  try {
    if (name === 'name') return Object.keys(readContexts(cli.config).contexts)
    const credentials = findCredentials(flags, cli.config)
    const path = name === 'job' ? '/v1/jobs' : '/v1/nodes'
    const found = (await apiOf(credentials).call('GET', path, { deadlineMs: ASK_MS_MAX })) as {
      jobs?: JobReply[]
      nodes?: NodeReply[]
    }
    return [
      ...(found.jobs ?? []).flatMap((job) => [job.name, job.id]),
      ...(found.nodes ?? []).map(({ id }) => id),
    ]
  } catch {
    // Without a cluster there are no names; an error in the middle of a line helps nobody.
    return subs
  }
}
