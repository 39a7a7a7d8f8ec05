import { writeFileSync } from 'node:fs'
import { LEARNED_BY } from '../../../controller/sizing/run-stats.ts'
import { type Comparison, compare, type Row, type Setting, systems, type Took } from './compare.ts'
import { drawPage } from './page.ts'
import { pricePerHour, redisPrice } from './prices.ts'
import { type Application, applications, profileOf, sizes } from './workload.ts'

/** The options of `npm run simulate -- fleet`. */
interface Order {
  readonly jobs: number
  readonly nodes: number
  readonly seconds: number
  readonly seed: string
  readonly out: string
}

const GOAL_BELOW_REDIS = 0.75
const GOAL_SLOW_DOWN = 1.05
const GOAL_DECISION_MS = 10
/** Runs with a single application get this fraction of the jobs, which is enough for their result. */
const SINGLE_PART = 10

run(JSON.parse(process.argv[2] ?? '{}') as Order)

function run({ jobs, nodes, seconds, seed, out }: Order): void {
  const lines: string[] = []
  const say = (line: string): void => {
    lines.push(line)
    console.log(line)
  }
  for (const line of pocketTable()) say(line)
  const setting: Setting = { mix: applications, jobs, seconds, nodesMax: nodes, seed }
  const single = { ...setting, jobs: Math.ceil(jobs / SINGLE_PART) }
  const settings = [setting, ...applications.map((of): Setting => ({ ...single, mix: [of] }))]
  const comparisons = settings.map((each) => {
    const comparison = compare(each)
    for (const line of describe(comparison)) say(line)
    return comparison
  })
  for (const line of goals(comparisons)) say(line)
  writeFileSync(out, drawPage(comparisons, lines))
  console.log(`allocation over time: ${out}`)
}

/** Pocket's Table 4, and what Mayfly reserves for the same jobs at the same prices. */
function pocketTable(): string[] {
  const row = (system: string, of: (application: Application) => number): string =>
    `${system.padEnd(42)}${applications.map((each) => of(each).toFixed(4).padStart(10)).join('')}`
  const peaks = (each: Application, margin: { bytes: number; rate: number }): number => {
    const { peakBytes, peakBytesPerSecond } = profileOf(each, 1)
    const ramGb = (peakBytes / 1e9) * margin.bytes
    return pricePerHour({ nodes: (peakBytesPerSecond / 1e9) * margin.rate, ramGb })
  }
  return [
    `one job alone, $ an hour                  ${applications.map((each) => each.padStart(10)).join('')}`,
    row('redis', (each) => redisPrice(sizes[each].nodes)),
    row('pocket', (each) => pricePerHour({ nodes: sizes[each].nodes, flashGb: sizes[each].dataGb })),
    row('mayfly, peaks hinted, all in RAM', (each) => peaks(each, { bytes: 17 / 16, rate: 1 })),
    row('mayfly, peaks learned, all in RAM', (each) =>
      peaks(each, { bytes: LEARNED_BY.bytes.margin, rate: LEARNED_BY.bytesPerSecond.margin }),
    ),
  ]
}

function describe({ mix, jobs, seconds, rows, decisions, registrations, ...of }: Comparison): string[] {
  const number = (value: number | null | undefined, digits: number): string =>
    value === null || value === undefined ? '–' : value.toFixed(digits)
  const [redis, pocket] = [rowOf(rows, systems.redis), rowOf(rows, systems.pocket)]
  const percent = (value: number | null, whole: number | null): string =>
    value === null || whole === null ? '–' : `${((value / whole) * 100).toFixed(1)} %`
  const line = ({ system, slowDown, ...row }: Row): string =>
    [
      system.padEnd(42),
      number(row.pricePerHour, 2).padStart(10),
      percent(row.pricePerHour, redis.pricePerHour).padStart(9),
      percent(row.pricePerHour, pocket.pricePerHour).padStart(10),
      number(row.reservedPerHour, 2).padStart(10),
      percent(row.reservedPerHour, redis.pricePerHour).padStart(9),
      percent(row.reservedPerHour, pocket.reservedPerHour).padStart(10),
      number(slowDown?.mean, 3).padStart(8),
      number(slowDown?.p50, 3).padStart(8),
      number(slowDown?.p99, 3).padStart(8),
      number(row.waitP99Seconds, 2).padStart(9),
      number(row.nodesMost, 0).padStart(7),
    ].join('')
  const counts = Object.entries(of.counts).map(([name, count]) => `${name} ${Math.round(count)}`)
  return [
    '',
    `${mix}: ${jobs} jobs in ${seconds} s`,
    `${''.padEnd(42)}  whole $/h of Redis of Pocket  reserved of Redis of Pocket    mean     p50     p99  wait p99  nodes`,
    ...rows.map(line),
    `${tookText(registrations, 'registrations')}; ${tookText(decisions, 'decisions of every kind')}`,
    `${systems.mayfly}: ${counts.join(', ')}; seconds with a full job ${of.fullSeconds}`,
  ]
}

function tookText({ count, p50, p99, most }: Took, what: string): string {
  return `${count} ${what}, ms p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)}, most ${most.toFixed(2)}`
}

function rowOf(rows: readonly Row[], system: string): Row {
  const row = rows.find((each) => each.system === system)
  if (row === undefined) throw new Error(`nothing was played for ${system}`)
  return row
}

function goals(comparisons: readonly Comparison[]): string[] {
  const verdict = (held: boolean, text: string): string => `${held ? 'holds      ' : 'FALLS SHORT'}  ${text}`
  const lines = comparisons.flatMap(({ mix, rows }) => {
    const [redis, pocket, mayfly] = [systems.redis, systems.pocket, systems.mayfly].map((each) =>
      rowOf(rows, each),
    ) as [Row, Row, Row]
    const below = 1 - mayfly.pricePerHour / redis.pricePerHour
    const reservedBelow = 1 - (mayfly.reservedPerHour ?? 0) / redis.pricePerHour
    const slowDown = mayfly.slowDown?.mean ?? Number.POSITIVE_INFINITY
    return [
      verdict(
        below >= GOAL_BELOW_REDIS,
        `${mix}: ${(below * 100).toFixed(1)} % below Redis for each job by whole nodes, goal 75 %`,
      ),
      verdict(
        reservedBelow >= GOAL_BELOW_REDIS,
        `${mix}: ${(reservedBelow * 100).toFixed(1)} % below it by what is reserved, as Pocket's table counts, goal 75 %`,
      ),
      verdict(slowDown <= GOAL_SLOW_DOWN, `${mix}: job times × ${slowDown.toFixed(3)} on average, goal 1.05`),
      verdict(
        mayfly.pricePerHour < pocket.pricePerHour,
        `${mix}: ${(mayfly.pricePerHour / pocket.pricePerHour).toFixed(3)} of what Pocket's nodes cost, goal below 1`,
      ),
      verdict(
        (mayfly.reservedPerHour ?? 0) < (pocket.reservedPerHour ?? 0),
        `${mix}: ${((mayfly.reservedPerHour ?? 0) / (pocket.reservedPerHour ?? 1)).toFixed(3)} of what Pocket's reservations cost, goal below 1`,
      ),
    ]
  })
  const slowest = Math.max(
    ...comparisons.map(({ registrations, decisions }) => Math.max(registrations.p99, decisions.p99)),
  )
  return [
    '',
    ...lines,
    verdict(slowest < GOAL_DECISION_MS, `a decision: p99 ${slowest.toFixed(2)} ms, goal 10 ms`),
  ]
}
