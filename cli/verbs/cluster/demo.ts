import { runDemo } from '../../demo.ts'
import { wholeNumber } from '../../values.ts'
import { type AddVerb, addVerb, onRun } from '../../verb.ts'

const MIB = 2 ** 20
/**
 * Below the minimum, keys and index alone do not fit, which take a seventeenth of the job's capacity; above the maximum no machine
 * suffices.
 */
const ram = { least: 16, most: 2 ** 20 }

export const demo: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'demo', {
    summary: 'count the words of real text on a cluster of its own, and check the result',
    details: 'Starts a cluster in a temporary folder, runs examples/word-count on it, and removes both.',
    examples: ['mayfly demo', 'mayfly demo --ram-mib 16   # most objects are demoted to SSD'],
  }).option(
    '--ram-mib <n>',
    'one node with this much RAM instead of as many as needed',
    wholeNumber(ram.least, ram.most),
  )
  onRun<{ ramMib?: number }>(verb, cli, (_, { ramMib }) =>
    runDemo(cli.config, ramMib === undefined ? undefined : ramMib * MIB),
  )
}
