import { execFileSync, fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { bundle, bundleFleet, checkTexts } from './bundle.js'

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    jobs: { type: 'string', default: '3000' },
    nodes: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '2880' },
    out: { type: 'string', default: 'fleet.html' },
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    ops: { type: 'string', default: '300' },
    faults: { type: 'string' },
    planted: { type: 'string' },
    fresh: { type: 'boolean', default: false },
    profile: { type: 'string', default: '' },
    workers: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    hashes: { type: 'boolean', default: false },
    'no-shrink': { type: 'boolean', default: false },
  },
})

const SEEDS_DEFAULT = 500
const FAILURES_SHOWN = 3
/** How long new seeds are tried, and above which number they begin; the fixed seeds are below. */
const FRESH_MS = 60_000
const FRESH_FROM = 1_000_000

const dir = await mkdtemp(join(tmpdir(), 'mayfly-simulate-'))
try {
  process.exitCode = (await main()) ? 0 : 1
} finally {
  await rm(dir, { recursive: true, force: true })
}

async function main() {
  if (positionals[0] === 'fleet') return await runFleet(join(dir, 'fleet.mjs'))
  if (positionals.length > 0) throw new Error(`nothing to simulate is called ${positionals[0]}`)
  const plain = join(dir, 'simulation.mjs')
  await bundle(plain)
  if (flags.fresh) return await runFresh(plain)
  if (flags.planted === undefined) return await runPlain(plain)
  const { planted } = await import(pathToFileURL(plain).href)
  const names = flags.planted === 'all' ? planted.map(({ name }) => name) : flags.planted.split(',')
  const chosen = planted.filter(({ name }) => names.includes(name))
  const unknown = names.find((name) => !planted.some((bug) => bug.name === name))
  if (unknown !== undefined) throw new Error(`no planted bug is called ${unknown}`)
  await checkAllTexts(planted)
  return await runAllPlanted(chosen, plain)
}

/** The controller's policy over a fleet, in virtual time. */
async function runFleet(file) {
  const [jobs, nodes, seconds] = ['jobs', 'nodes', 'seconds'].map((name) => {
    const value = Number(flags[name])
    if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} is not a whole number from 1`)
    return value
  })
  await bundleFleet(file)
  const order = { jobs, nodes, seconds, seed: flags.seed ?? '1', out: resolve(flags.out) }
  const child = fork(file, [JSON.stringify(order)], { execArgv: ['--enable-source-maps'] })
  return await new Promise((done) => child.on('exit', (code) => done(code === 0)))
}

async function checkAllTexts(bugs) {
  const checks = await Promise.allSettled(bugs.map((bug) => checkTexts(bug)))
  const wrong = checks.flatMap(({ reason }) => (reason === undefined ? [] : [reason.message]))
  if (wrong.length > 0) throw new Error(`planted bugs that no longer fit the code:\n${wrong.join('\n')}`)
}

async function runAllPlanted(bugs, plain) {
  const started = Date.now()
  let caught = 0
  if (bugs.length > 1) console.log('caught by seed | of at most | seconds | planted bug')
  for (const bug of bugs) caught += (await runPlanted(bug, { plain, quiet: bugs.length > 1 })) ? 1 : 0
  console.log(`${caught} of ${bugs.length} planted bugs caught in ${secondsSince(started)} s`)
  return caught === bugs.length
}

function secondsSince(startedMs) {
  return ((Date.now() - startedMs) / 1000).toFixed(1)
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
  console.log(
    `${ran} seeds from ${from}: ${failures.length} failed; ${calls} calls in ${secondsSince(started)} s; ` +
      `${gaveUp} histories with too many orders to judge`,
  )
  const failed = failures.map(({ seed }) => seed).sort((a, b) => a - b)
  if (failed.length > 0) console.log(`seeds that fail: ${failed.join(', ')}`)
  return failures.length === 0 && ran === seeds
}

/** Runs seeds derived from day and commit for a minute. Their failures are reported and do not fail the run. */
async function runFresh(file) {
  const day = new Date().toISOString().slice(0, 10)
  const from = FRESH_FROM + createHash('sha256').update(`${day}/${commit()}`).digest().readUInt32LE()
  const sought = { from, seeds: 2 ** 20, stopAtFailure: false, planted: '', quiet: true, msMax: FRESH_MS }
  const { ran, failures } = await runSeeds(file, sought)
  console.log(`${ran} fresh seeds from ${from} in ${FRESH_MS / 1000} s: ${failures.length} failed`)
  for (const { text } of failures) console.log(text.split('\n').slice(0, 2).join('\n'))
  if (failures.length > 0)
    console.log(`  npm run simulate -- --seed ${failures.map(({ seed }) => seed).join(', or ')}`)
  return true
}

function commit() {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' })
  } catch {
    // Outside a Git clone, the seeds follow from the day alone.
    return ''
  }
}

/** A bug counts as caught if a seed fails with it and passes without it. */
async function runPlanted(bug, { plain, quiet }) {
  const started = Date.now()
  const file = join(dir, `${bug.name}.mjs`)
  await bundle(file, bug)
  const profile = flags.profile || (bug.profile ?? 'plain')
  const one =
    flags.seed === undefined
      ? { from: Number(flags.from), seeds: Number(flags.seeds ?? bug.seedsMax) }
      : { from: Number(flags.seed), seeds: 1 }
  const { failures } = await runSeeds(file, {
    ...one,
    stopAtFailure: true,
    planted: bug.name,
    profile,
    quiet,
  })
  const [first] = failures.map(({ seed }) => seed).sort((a, b) => a - b)
  const isInnocent = first === undefined || (await failsAnyway(plain, first, profile))
  const seed = first === undefined ? 'NOT CAUGHT' : isInnocent ? `${first} anyway` : String(first)
  const cells = [seed.padStart(14), String(one.seeds).padStart(10), secondsSince(started).padStart(7)]
  console.log(`${cells.join(' | ')} | ${bug.name}: ${bug.what}`)
  if (flags.verbose && quiet) for (const { text } of failures.slice(0, 1)) console.log(text.slice(0, 700))
  return !isInnocent
}

async function failsAnyway(plain, seed, profile) {
  const { failures } = await runSeeds(plain, { from: seed, seeds: 1, planted: '', profile, quiet: true })
  return failures.length > 0
}

/** Runs seeds in one process per core, each with a residue class of the seeds. */
async function runSeeds(
  file,
  { from, seeds, stopAtFailure, planted, profile = flags.profile, quiet = false, msMax = null },
) {
  const workers = Math.min(seeds, Number(flags.workers ?? availableParallelism()))
  const sum = { ran: 0, calls: 0, gaveUp: 0, failures: [] }
  const children = new Set()
  let isOver = false
  const order = {
    calls: Number(flags.ops),
    faults:
      flags.faults === undefined ? null : flags.faults === 'none' ? [] : flags.faults.split(',').map(Number),
    step: workers,
    stopAtFailure,
    shrink: !flags['no-shrink'] && !quiet,
    verbose: flags.verbose,
    planted,
    profile,
  }
  const timer = msMax === null ? undefined : setTimeout(end, msMax)
  await Promise.all(
    Array.from({ length: workers }, (_, index) => {
      const child = fork(file, [JSON.stringify({ ...order, from: from + index, seeds: seeds - index })], {
        // Source maps cost a tenth of the time. The command that replays a failing seed uses them.
        execArgv: seeds > 1 ? [] : ['--enable-source-maps'],
      })
      children.add(child)
      return new Promise((resolve, reject) => {
        child.on('message', (report) => take(report))
        child.on('exit', (code, signal) => {
          children.delete(child)
          if (code === 0 || (isOver && signal === 'SIGTERM')) resolve()
          else reject(new Error(`a process of the simulation ended with ${code ?? signal}`))
        })
      })
    }),
  )
  clearTimeout(timer)
  return sum

  function end() {
    isOver = true
    for (const child of children) child.kill('SIGTERM')
  }

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
    if (stopAtFailure) end()
  }
}
