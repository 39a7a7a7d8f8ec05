import type { SimulatedJob } from './workload.ts'

/** A part of a job on a node. */
export interface Part {
  readonly node: string
  /** Fraction of the job's traffic; the fractions of all parts add up to 1. */
  readonly part: number
  /** Traffic that is bound to this node. */
  readonly bytesPerSecond: number
}

export interface Running {
  readonly job: SimulatedJob
  /** The second of its profile that it has reached; it advances more slowly while its nodes are overloaded. */
  progress: number
  /** When its functions may start. */
  readyAt: number
  bytes: number
  bytesPerSecond: number
}

/** Reserves nodes for jobs, second by second. */
export interface Policy {
  /** Seconds until the job may start; null if there is no room yet. */
  register(job: SimulatedJob, second: number): number | null
  end(running: Running): void
  partsOf(job: SimulatedJob): readonly Part[]
  /** The most bytes that the job may store now. */
  bytesMaxOf(job: SimulatedJob): number
  /** Called once a second; `running` has the usage of the jobs. */
  second(second: number, running: ReadonlyMap<string, Running>, loads: ReadonlyMap<string, number>): void
  /** Price per hour of what runs now. */
  price(): { readonly nodes: number; readonly perHour: number; readonly reservedPerHour: number }
}

/** The results of a policy. */
export interface Played {
  /** Whole nodes, in dollars per hour, on average. */
  readonly pricePerHour: number
  /** The reservations, priced as in Pocket's table. */
  readonly reservedPerHour: number
  /** Time of each job, including the wait for its nodes, over its time without any limit. */
  readonly slowDowns: readonly number[]
  readonly waits: readonly number[]
  /** Seconds in which a job could not write because its capacity was full. */
  readonly fullSeconds: number
  /** In each second. */
  readonly nodes: readonly number[]
  readonly usedBytesPerSecond: readonly number[]
}

const NODE_BYTES_PER_SECOND = 1e9

/** Runs jobs in virtual time until all have ended. */
export function play(jobs: readonly SimulatedJob[], policy: Policy): Played {
  const running = new Map<string, Running>()
  const waiting: SimulatedJob[] = []
  const slowDowns: number[] = []
  const waits: number[] = []
  const nodes: number[] = []
  const used: number[] = []
  let [price, reserved, fullSeconds, next] = [0, 0, 0, 0]
  for (let second = 0; next < jobs.length || waiting.length > 0 || running.size > 0; second++) {
    for (let job = jobs[next]; job !== undefined && job.startsAtSecond <= second; job = jobs[++next])
      waiting.push(job)
    // Waiting jobs are served in order, so that small ones do not pass a large one for ever.
    for (let job = waiting[0]; job !== undefined; job = waiting[0]) {
      const wait = policy.register(job, second)
      if (wait === null) break
      waiting.shift()
      waits.push(second - job.startsAtSecond + wait)
      running.set(job.id, { job, progress: 0, readyAt: second + wait, bytes: 0, bytesPerSecond: 0 })
    }
    const { loads, full } = move(running, { policy, second })
    fullSeconds += full
    policy.second(second, running, loads)
    for (const each of running.values()) {
      const { profile } = each.job
      if (each.progress < profile.bytes.length) continue
      running.delete(each.job.id)
      slowDowns.push((second + 1 - each.job.startsAtSecond + fractionOf(each)) / profile.bytes.length)
      policy.end(each)
    }
    const now = policy.price()
    price += now.perHour
    reserved += now.reservedPerHour
    nodes.push(now.nodes)
    used.push([...running.values()].reduce((sum, { bytesPerSecond }) => sum + bytesPerSecond, 0))
  }
  const seconds = nodes.length
  return {
    pricePerHour: price / seconds,
    reservedPerHour: reserved / seconds,
    slowDowns,
    waits,
    fullSeconds,
    nodes,
    usedBytesPerSecond: used,
  }
}

/** The part of its last second that a job did not need. */
function fractionOf({ progress, job }: Running): number {
  return job.profile.bytes.length - progress
}

/** Bytes in one second. */
interface Tally {
  /** Requested within reservations, and above them. */
  within: number
  beyond: number
  moved: number
}

/** One second of all jobs: first what is reserved, then, in proportion, what others leave free. */
function move(
  running: ReadonlyMap<string, Running>,
  { policy, second }: { policy: Policy; second: number },
): { loads: Map<string, number>; full: number } {
  const nodes = new Map<string, Tally>()
  const on = (node: string): Tally => {
    const tally = nodes.get(node) ?? { within: 0, beyond: 0, moved: 0 }
    nodes.set(node, tally)
    return tally
  }
  const asking = [...running.values()].map((each) => {
    const want = wantOf(each)
    const parts = policy.partsOf(each.job).map(({ node, part, bytesPerSecond }) => {
      const tally = on(node)
      const held = Math.min(want * part, bytesPerSecond)
      tally.within += held
      tally.beyond += want * part - held
      return { part, held, tally }
    })
    return { each, want, parts }
  })
  let full = 0
  for (const { each, want, parts } of asking) {
    const isFull = each.bytes > policy.bytesMaxOf(each.job)
    if (isFull) full++
    // Its puts fail and are retried; its reads continue, and free what they read.
    let speed = isFull ? 0.5 : 1
    for (const { part, held, tally } of parts) {
      if (want * part <= 0) continue
      const left = Math.max(0, NODE_BYTES_PER_SECOND - tally.within)
      const granted = Math.min(1, left / Math.max(1, tally.beyond))
      speed = Math.min(speed, (held + granted * (want * part - held)) / (want * part))
    }
    const able = Math.max(0, Math.min(1, second + 1 - each.readyAt))
    each.bytesPerSecond = want * speed * able
    for (const { part, tally } of parts) tally.moved += each.bytesPerSecond * part
    each.progress += speed * able
    const { bytes } = each.job.profile
    each.bytes = bytes[Math.min(bytes.length - 1, Math.floor(each.progress))] ?? 0
  }
  return { loads: new Map([...nodes].map(([node, { moved }]) => [node, moved])), full }
}

function wantOf({ job, progress }: Running): number {
  return job.profile.bytesPerSecond[Math.min(job.profile.bytes.length - 1, Math.floor(progress))] ?? 0
}
