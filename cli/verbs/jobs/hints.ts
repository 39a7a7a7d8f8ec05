import { type Command, Option } from 'commander'
import type { JobReply } from '../../api/replies.ts'
import { count, formatBytes } from '../../terminal/table.ts'
import { collectHint, type HintValues } from '../../values.ts'

const names: readonly (readonly [string, string])[] = [
  ['capacityBytes', 'bytes of payload at the peak, like 268435456 or 256MiB'],
  ['peakBytesPerSecond', 'bytes per second at the peak, reads and writes together, like 500MB'],
  ['maxFunctions', 'functions that run at once at the peak'],
  ['latencySensitive', 'true: RAM first (the default); false: the cheapest tiers that do'],
  ['latencyMs', 'only tiers whose 99th percentile of a small get is at most this, in ms'],
  ['readsPerObject', 'how often an object is read once it is written; 1 by default'],
]

export interface HintFlags {
  readonly hint?: HintValues
}

/** Adds --hint, with the names of all hints in the help. */
export function hintOption(verb: Command, { isRequired = false } = {}): Command {
  const width = Math.max(...names.map(([name]) => name.length))
  const lines = names.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`)
  const option = new Option('--hint <name=value>', 'what the job needs; may be repeated')
    .argParser(collectHint)
    .makeOptionMandatory(isRequired)
  return verb.addOption(option).addHelpText('after', `\nHints, all optional:\n${lines.join('\n')}`)
}

/** `256 MiB of ram, 500 MiB/s on 1 node`. */
export function reserved({ nodes, bytes, bytesPerSecond }: JobReply['reservation']): string {
  const held = Object.entries(bytes)
    .filter(([, count]) => count > 0)
    .map(([tier, count]) => `${formatBytes(count)} of ${tier}`)
  return `${[...held, `${formatBytes(bytesPerSecond)}/s`].join(', ')} on ${count(nodes.length, 'node')}`
}
