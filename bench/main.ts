import { parseArgs } from 'node:util'
import { Progress } from './report/progress.ts'
import { formatReport } from './report/report.ts'
import { saveReport } from './report/results.ts'
import { installMinio } from './servers/minio.ts'
import type { Report, Suite, SuiteOptions } from './suite.ts'
import { controller } from './suites/cluster/controller.ts'
import { drain } from './suites/cluster/drain.ts'
import { elasticity } from './suites/cluster/elasticity.ts'
import { kubernetes } from './suites/cluster/kubernetes.ts'
import { placements } from './suites/cluster/placements.ts'
import { state } from './suites/cluster/state.ts'
import { enforcement } from './suites/node/enforcement.ts'
import { eviction } from './suites/node/eviction.ts'
import { gateway } from './suites/node/gateway.ts'
import { list } from './suites/node/list.ts'
import { ssd } from './suites/node/ssd.ts'
import { tiers } from './suites/node/tiers.ts'
import { coldstart } from './suites/peers/coldstart.ts'
import { fanin } from './suites/peers/fanin.ts'
import { jobs } from './suites/peers/jobs.ts'
import { many } from './suites/peers/many.ts'
import { memory } from './suites/peers/memory.ts'
import { limit, ops, tls } from './suites/peers/ops.ts'
import { release } from './suites/peers/release.ts'
import { shuffle } from './suites/peers/shuffle.ts'
import { traces } from './suites/peers/traces.ts'
import { wait } from './suites/peers/wait.ts'

/** The suites that compare Mayfly with other systems. All of them run if no suite is named. */
const comparisons: readonly (readonly [string, Suite])[] = [
  ['ops', ops],
  ['tls', tls],
  ['fanin', fanin],
  ['many', many],
  ['wait', wait],
  ['shuffle', shuffle],
  ['traces', traces],
  ['memory', memory],
  ['coldstart', coldstart],
  ['release', release],
  ['jobs', jobs],
]
const suites: ReadonlyMap<string, Suite> = new Map([
  ...comparisons,
  ['limit', limit],
  ['drain', drain],
  ['controller', controller],
  ['enforcement', enforcement],
  ['elasticity', elasticity],
  ['eviction', eviction],
  ['ssd', ssd],
  ['list', list],
  ['gateway', gateway],
  ['tiers', tiers],
  ['placements', placements],
  ['state', state],
  ['kubernetes', kubernetes],
])

/** Exit codes for a usage error and for SIGINT, by the shell's convention. */
const MISUSED = 2
const INTERRUPTED = 130

// Without this the S3 SDK warns in every process that a future version needs a newer Node.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'
process.exitCode = await main(process.argv.slice(2))

/** Exit code 1 if a call failed or an answer was wrong. A figure that misses its goal does not change the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const parsed = parse(args)
  if (parsed === null) return misused()
  const { values, positionals } = parsed
  const wanted = positionals.length === 0 ? comparisons.map(([name]) => name) : positionals
  if (wanted.some((name) => !suites.has(name))) return misused()
  const { tiny = false, only, results: dir, json = false } = values
  if (!tiny) await installPeers()
  const signal = interruption()
  let failures = 0
  try {
    for (const name of wanted) {
      say(`suite ${name}`)
      const report = await runSuite(name, { tiny, only, signal })
      const { charts: _, ...figures } = report
      process.stdout.write(
        json ? `${JSON.stringify({ suite: name, ...figures })}\n` : `## ${name}\n\n${formatReport(report)}`,
      )
      for (const file of await saveReport({ name, report, dir })) say(`written to ${file}`)
      failures += report.failures.length
    }
  } catch (error) {
    if (!signal.aborted) throw error
    return INTERRUPTED
  }
  return failures === 0 ? 0 : 1
}

async function runSuite(
  name: string,
  options: Pick<SuiteOptions, 'tiny' | 'only' | 'signal'>,
): Promise<Report> {
  const progress = new Progress(name, process.stderr)
  const say = (line: string): void => progress.say(line)
  const advance = (part: number): void => progress.advance(part)
  advance(0)
  try {
    return await (suites.get(name) as Suite).run({ ...options, say, advance })
  } finally {
    progress.end()
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        tiny: { type: 'boolean' },
        only: { type: 'string' },
        results: { type: 'string' },
        json: { type: 'boolean' },
      },
    })
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
    return null
  }
}

function misused(): number {
  say('usage: npm run bench -- [SUITE...] [--only TEXT] [--tiny] [--results DIR] [--json]')
  for (const [known, { summary }] of suites) say(`  ${known}: ${summary}`)
  return MISUSED
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** The first Ctrl-C stops everything that was started; the second one ends this process at once. */
function interruption(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => controller.abort(new Error(`ended by ${name}`)))
  }
  return controller.signal
}

/** Installs missing peers. If MinIO cannot be installed, the suites run without it and report that it is missing. */
async function installPeers(): Promise<void> {
  try {
    await installMinio(say)
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
  }
}
