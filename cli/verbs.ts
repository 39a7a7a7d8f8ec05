import type { Verb } from './verb.ts'
import { bench } from './verbs/bench.ts'
import { env } from './verbs/cluster/env.ts'
import { demo } from './verbs/demo.ts'
import { drain } from './verbs/drain.ts'
import { end } from './verbs/end.ts'
import { get } from './verbs/get.ts'
import { jobs } from './verbs/jobs.ts'
import { kept } from './verbs/kept.ts'
import { keys } from './verbs/keys.ts'
import { ls } from './verbs/ls.ts'
import { nodes } from './verbs/nodes.ts'
import { put } from './verbs/put.ts'
import { register } from './verbs/register.ts'
import { rm } from './verbs/rm.ts'
import { status } from './verbs/status.ts'
import { ticket } from './verbs/ticket.ts'
import { up } from './verbs/up.ts'

/** Every verb by name, in the order of the help. */
export const verbs: ReadonlyMap<string, Verb> = new Map([
  ['up', up],
  ['demo', demo],
  ['status', status],
  ['env', env],
  ['nodes', nodes],
  ['drain', drain],
  ['jobs', jobs],
  ['register', register],
  ['ticket', ticket],
  ['end', end],
  ['put', put],
  ['get', get],
  ['ls', ls],
  ['rm', rm],
  ['kept', kept],
  ['keys', keys],
  ['bench', bench],
])

/** The output of `mayfly help`. */
export function helpText(): string {
  const usages = [...verbs.values()].map(({ usage, summary }) => `  mayfly ${usage}\n      ${summary}`)
  return [
    'mayfly: an elastic store for the short-lived data that serverless functions hand to one another',
    '',
    ...usages,
    '',
    'A cluster is found by MAYFLY_URL and MAYFLY_API_KEY, or by the folder in which `mayfly up` keeps its state.',
  ].join('\n')
}
