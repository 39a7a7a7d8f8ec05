import { runDemo } from '../demo.ts'
import type { Verb } from '../verb.ts'

export const demo: Verb = {
  usage: 'demo',
  summary: 'count the words of real text on a cluster of its own, and check the result',
  shape: { options: {}, required: [], optional: [] },
  run: ({ config }) => runDemo(config),
}
