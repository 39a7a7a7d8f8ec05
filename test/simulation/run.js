import { fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { bundle } from './bundle.js'

const { values: flags } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    ops: { type: 'string', default: '300' },
    faults: { type: 'string' },
    planted: { type: 'string' },
    workers: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    hashes: { type: 'boolean', default: false },
    'no-shrink': { type: 'boolean', default: false },
  },
})

const SEEDS_DEFAULT = 500
const FAILURES_SHOWN = 3

const dir = await mkdtemp(join(tmpdir(), 'mayfly-simulate-'))
try {
  process.exitCode = (await main()) ? 0 : 1
} finally {
  await rm(dir, { recursive: true, force: true })
}

async function main() {
  const plain = join(dir, 'simulation.mjs')
  await bundle(plain)
  if (flags.planted === undefined) return await runPlain(plain)
  const { planted } = await import(pathToFileURL(plain).href)
  const chosen = planted.filter(
    ({ name }) => flags.planted === 'all' || flags.planted.split(',').includes(name),
  )
  if (chosen.length === 0) throw new Error(`no planted bug is called ${flags.planted}`)
  let caught = 0
  for (const bug of chosen) caught += (await runPlanted(bug)) ? 1 : 0
  console.log(`${caught} of ${chosen.length} planted bugs caught`)
  return caught === chosen.length
}

async function runPlain(file) {
  const started = Date.now()
  const from = Number(flags.seed ?? flags.from)
  const seeds = flags.seed === undefined ? Number(flags.seeds ?? SEEDS_DEFAULT) : 1
  const { ran, calls, gaveUp, failures } = await runSeeds(file, {
    from,
    seeds,
    stopAtFailure: false,
    planted: '',
  })
  const seconds = (Date.now() - started) / 1000
  console.log(
    `${ran} seeds from ${from}: ${failures.length} failed; ${calls} calls in ${seconds.toFixed(1)} s; ` +
      `${gaveUp} histories with too many orders to judge`,
  )
  return failures.length === 0 && ran === seeds
}

async function runPlanted(bug) {
  const file = join(dir, `${bug.name}.mjs`)
  await bundle(file, [bug])
  const one =
    flags.seed === undefined ? { from: 1, seeds: bug.seedsMax } : { from: Number(flags.seed), seeds: 1 }
  const quiet = flags.planted === 'all' || flags.planted.includes(',')
  const { failures } = await runSeeds(file, { ...one, stopAtFailure: true, planted: bug.name, quiet })
  const [first] = failures.map(({ seed }) => seed).sort((a, b) => a - b)
  console.log(
    first === undefined
      ? `NOT CAUGHT  ${bug.name}: ${bug.what} (${bug.seedsMax} seeds)`
      : `caught      ${bug.name} by seed ${first} (of ${bug.seedsMax})`,
  )
  return first !== undefined
}

/** Runs seeds in as many processes as there are cores, every core a residue class. */
async function runSeeds(file, { from, seeds, stopAtFailure, planted, quiet = false }) {
  const workers = Math.min(seeds, Number(flags.workers ?? availableParallelism()))
  const sum = { ran: 0, calls: 0, gaveUp: 0, failures: [] }
  const children = new Set()
  const order = {
    calls: Number(flags.ops),
    faults:
      flags.faults === undefined ? null : flags.faults === 'none' ? [] : flags.faults.split(',').map(Number),
    step: workers,
    stopAtFailure,
    shrink: !flags['no-shrink'] && !quiet,
    verbose: flags.verbose,
    planted,
  }
  await Promise.all(
    Array.from({ length: workers }, (_, index) => {
      const child = fork(file, [JSON.stringify({ ...order, from: from + index, seeds: seeds - index })], {
        execArgv: ['--enable-source-maps'],
      })
      children.add(child)
      return new Promise((resolve, reject) => {
        child.on('message', (report) => take(report))
        child.on('exit', (code, signal) => {
          children.delete(child)
          if (code === 0 || (stopAtFailure && signal === 'SIGTERM')) resolve()
          else reject(new Error(`a process of the simulation ended with ${code ?? signal}`))
        })
      })
    }),
  )
  return sum

  function take(report) {
    if (report.kind === 'seed') {
      sum.ran++
      sum.calls += report.calls
      sum.gaveUp += report.gaveUp
      if (flags.hashes) console.log(`${report.seed} ${report.hash}`)
      if (report.text) console.log(report.text)
      return
    }
    sum.failures.push(report)
    if (!quiet && sum.failures.length <= FAILURES_SHOWN) console.log(report.text)
    if (stopAtFailure) for (const child of children) child.kill('SIGTERM')
  }
}
