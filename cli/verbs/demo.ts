import { runDemo } from '../demo.ts'
import type { Verb } from '../verb.ts'

const MIB = 2 ** 20
/** With less the keys and the index alone do not fit, which take a seventeenth of what the job asks for; more is for no machine that runs a demo. */
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
