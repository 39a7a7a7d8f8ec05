import { findCredentials } from '../../api/credentials.ts'
import { readEvents } from '../../api/events.ts'
import { interruption } from '../../api/open-job.ts'
import { eventLine } from '../../terminal/event-text.ts'
import { painter } from '../../terminal/terminal.ts'
import { wholeNumber } from '../../values.ts'
import {
  type AddVerb,
  addVerb,
  type ClusterFlags,
  clusterOptions,
  exitCodes,
  type JsonFlag,
  jsonOption,
  onRun,
} from '../../verb.ts'

interface Flags extends ClusterFlags, JsonFlag {
  readonly all?: boolean
  readonly count?: number
  readonly type?: readonly string[]
}

export const watch: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'watch', {
    summary: 'show what happens in the cluster as it happens, until Ctrl-C',
    details:
      'Registrations, nodes that start, drain and die, and what the controller decides, with its reasons.\ndocs/operations.md explains each event.',
    examples: [
      'mayfly watch',
      'mayfly watch --all --type node.lost job.degraded',
      'mayfly watch --json --count 1 --type job.ended',
    ],
  })
    .option('--all', 'begin with the events that are kept: the last 1,000')
    .option('--type <types...>', 'only events of these types, like node.lost, or node for all of node')
    .option('--count <n>', 'end after this many events', wholeNumber(1, 1e9))
  jsonOption(clusterOptions(verb), 'a line of JSON for each event')
  onRun<Flags>(verb, cli, async (_, flags) => {
    const { terminal } = cli
    const paint = painter(terminal)
    const { signal, release } = interruption()
    const onBroken = (): void => terminal.printError('mayfly: the controller does not answer; trying again')
    let left = flags.count ?? Number.POSITIVE_INFINITY
    try {
      const after = flags.all === true ? '0' : null
      for await (const event of readEvents(findCredentials(flags, cli.config), { after, signal, onBroken })) {
        const isWanted =
          flags.type?.some((type) => event.type === type || event.type.startsWith(`${type}.`)) ?? true
        if (!isWanted) continue
        const { id, type, at, data } = event
        terminal.print(
          flags.json === true ? JSON.stringify({ id, type, at, ...data }) : eventLine(event, paint),
        )
        if (--left === 0) return exitCodes.done
      }
      return exitCodes.interrupted
    } finally {
      release()
    }
  })
}
