import { runDemo } from '../demo.ts'
import type { Verb } from '../verb.ts'

const MIB = 2 ** 20
/**
 * Below the minimum, keys and index alone do not fit, which take a seventeenth of the job's capacity; above the maximum no machine
 * suffices.
 */
const ram = { least: 16, most: 2 ** 20 }

export const demo: Verb = {
  usage: 'demo [--ram-mib N]',
  summary: 'count the words of real text on a cluster of its own, and check the result',
  shape: { options: { 'ram-mib': 'text' }, required: [], optional: [] },
  run: ({ args, config }) => {
    const mebibytes = args.number('ram-mib', ram)
    return runDemo(config, mebibytes === undefined ? undefined : mebibytes * MIB)
  },
}
