import { CONTROL_CALL_MS } from '../../protocol/limits.ts'
import { parseTicket } from '../../protocol/model/ticket.ts'
import { partsOfToken } from '../../protocol/model/token.ts'
import { checkHeld, checkLetGo, rest } from './checker/held.ts'
import { inspect } from './checker/inspect.ts'
import { type Failure, judge } from './checker/judge.ts'
import type { Death } from './checker/key-histories.ts'
import { lossesOf } from './checker/losses.ts'
import { checkEmpty } from './checker/quiet.ts'
import { repeatsOf } from './checker/repeats.ts'
import { Controlled } from './controlled.ts'
import { inject, replaceLost, type Scene } from './faults/inject.ts'
import {
  describeFault,
  type Fault,
  type FaultKind,
  firstOf,
  forgottenKinds,
  frozenKinds,
  gentleKinds,
  planFaults,
  promptKinds,
  silencingKinds,
  storeKinds,
} from './faults/plan.ts'
import type { Plan, Run } from './plan.ts'
import { type Profile, profileOf, roomOf } from './profiles.ts'
import { createBuckets, playBuckets } from './traffic/buckets.ts'
import { Client, type ClientOptions } from './traffic/client.ts'
import { describeCall, History } from './traffic/history.ts'
import { Mix } from './traffic/mix.ts'
import type { Repeated } from './traffic/twin.ts'
import { Cluster, type RunningNode } from './world/cluster.ts'
import type { Control, PlacedJob } from './world/control.ts'
import { mayServe } from './world/inspection.ts'
import { jobsOf, type MetadataServer } from './world/metadata-servers.ts'
import { SeededRandom } from './world/random.ts'
import { RealController } from './world/real-controller.ts'
import { ScriptedController } from './world/scripted-controller.ts'

export const CALLS_DEFAULT = 300
const CLIENTS = 6
/** Calls of a client that was restored from the memory of another one. */
const RESTORED_CALLS = 20
/** A message that was sent before a job's end may arrive 9 s later (`Network.slow`) and create the job again; the next heartbeat removes it. */
const FORGET_MS = 12_000
/** Sessions of disconnected clients live for 6 s, and are checked once a second. */
const LET_GO_MS = 8_000
const RUN_MS_MAX = 120_000
/** Includes the minutes in which the test watches that nothing happens. */
const CONTROLLED_RUN_MS_MAX = 900_000
/** The longest duration of a few messages without a fault. */
const ORDINARY_DELAY_MS = 400
/** By when the peers of a machine that is gone learn of it. */
const MACHINE_GONE_MS_MAX = 4_000
/** Within this time a request that was sent has arrived, and has ended if its connection is closed. */
const WAIT_OVER_MS_MAX = 400
const JOBS = ['red', 'blue'] as const

/** Runs the planes once, in virtual time, and checks what they did. */
export async function simulate(plan: Plan): Promise<Run> {
  const scenario = new Scenario(plan)
  return await scenario.run()
}

class Scenario {
  readonly #plan: Plan
  readonly #profile: Profile
  readonly #cluster: Cluster
  readonly #controller: Control
  /** Set if the real controller runs. */
  readonly #controlled: Controlled | null
  readonly #history = new History()
  #mix: Mix
  readonly #jobs = new Map<string, PlacedJob>()
  readonly #deaths: Death[] = []
  /** For each node that was declared dead, or has died, the jobs of which it can no longer be an owner. */
  readonly #dead = new Map<string, Set<string>>()
  /** The controller's reactions to nodes that metadata has declared dead. */
  readonly #repairs: Promise<void>[] = []
  #scene: Scene | null = null
  readonly #clients: Client[] = []
  readonly #failures: Failure[] = []
  readonly #notes: string[] = []
  readonly #faults: readonly Fault[]
  /** Jobs whose persisted objects were not recovered because the store did not answer. */
  readonly #forgotten = new Set<string>()
  /** Calls that were under way when a snapshot was taken. */
  readonly #repeated: Repeated[] = []

  constructor(plan: Plan) {
    this.#plan = plan
    this.#profile = profileOf(plan.profile, new SeededRandom(`mayfly/${plan.seed}/profile`))
    this.#mix = new Mix([], this.#profile)
    this.#cluster = new Cluster(plan.seed, this.#profile, (what) => this.#fail('an error in a log', what))
    if (this.#profile.controller) {
      const controller = new RealController(this.#cluster)
      this.#controller = controller
      this.#controlled = new Controlled({
        cluster: this.#cluster,
        controller,
        jobs: this.#jobs,
        fail: (rule, what) => this.#fail(rule, what),
        nodeDies: (node) => this.#nodeDies(node),
        isAudible: () => this.#isAudible(),
        note: (what) => this.#note(what),
      })
    } else {
      this.#controller = new ScriptedController(this.#cluster)
      this.#controlled = null
    }
    this.#cluster.network.onLeak = () => this.#fail('a secret travels', "the MAC of a job's token (I23)")
    this.#cluster.onDeclaredDead = (node, by) => this.#declaredDead(node, by)
    this.#cluster.onEnding = (node) => this.#ending(node)
    this.#cluster.onForgotten = (job) => {
      this.#note(`persisted objects of ${job} were not recovered`)
      this.#forgotten.add(job)
    }
    this.#faults = planFaults(this.#cluster.random.fork('faults'), this.#profile)
  }

  async run(): Promise<Run> {
    const { timeline } = this.#cluster
    const onRejection = (error: unknown): void => {
      this.#fail(
        'an unhandled rejection',
        error instanceof Error ? (error.stack ?? error.message) : String(error),
      )
    }
    process.on('unhandledRejection', onRejection)
    try {
      await timeline.run(this.#play(), this.#controlled === null ? RUN_MS_MAX : CONTROLLED_RUN_MS_MAX)
    } catch (error) {
      const open = this.#history.calls.filter(({ outcome }) => outcome.kind === 'none').map(describeCall)
      this.#fail(
        'the run does not end',
        [String(error), ...open.slice(-5), ...this.#controller.waiting].join('\n  '),
      )
    } finally {
      process.off('unhandledRejection', onRejection)
    }
    const ends = new Map(
      [...this.#jobs].flatMap(([id, { endAskedMs }]) => (endAskedMs ? [[id, endAskedMs]] : [])),
    )
    const calmUntilMs = this.#firstBut(gentleKinds)
    const progress = {
      frozenUntilMs: this.#firstBut(frozenKinds),
      forgottenUntilMs: this.#firstBut([...frozenKinds, ...forgottenKinds]),
    }
    const lateMs = calmUntilMs === Number.POSITIVE_INFINITY ? ORDINARY_DELAY_MS : CONTROL_CALL_MS
    const { failures, gaveUp } = judge(this.#history.calls, {
      deaths: this.#deaths,
      ends,
      calmUntilMs,
      lateMs,
      jumpedMs: this.#cluster.jumpedMs,
      progress,
      forgotten: this.#forgotten,
      repeats: repeatsOf(this.#repeated),
    })
    return {
      failures: [...this.#failures, ...failures],
      profile: this.#profile.name,
      gaveUp,
      calls: this.#history.calls.length,
      events: timeline.events,
      virtualMs: timeline.nowMs,
      hash: timeline.hash,
      faults: this.#faults,
      notes: this.#notes,
    }
  }

  async #play(): Promise<void> {
    await this.#begin()
    const clients = this.#startClients()
    const isOver = (): boolean => clients.every(({ done }) => done)
    const buckets = playBuckets(this.#cluster, [...this.#jobs.values()], {
      profile: this.#profile,
      names: this.#mix.transient,
      history: this.#history,
      isOver,
      violate: (rule, what) => this.#fail(rule, what),
    })
    const scene: Scene = {
      cluster: this.#cluster,
      controller: this.#controller,
      clients,
      jobs: this.#jobs,
      nodeDies: (node) => this.#nodeDies(node),
      clientDied: ({ host }, machine) => this.#clientDied(host.id, machine),
      restore: (twin, random) => {
        this.#repeated.push(...twin.restore(this.#history, random))
        const name = `restored/${twin.host.id}`
        const restored = this.#newClient(name, { calls: RESTORED_CALLS, restored: twin })
        clients.push(restored)
        restored.start()
      },
      note: (what) => this.#note(what),
    }
    this.#scene = scene
    this.#controlled?.playTenants(this.#profile.horizonMs)
    await Promise.all(this.#chosenFaults().map((fault) => this.#at(scene, fault)))
    while (clients.some(({ done }) => !done)) await this.#controller.sleep(50)
    await Promise.all([...this.#repairs, buckets, this.#controlled?.tenantsAreOver()])
    // Some jobs end while calls and faults are under way.
    if (this.#cluster.random.fork('end').chance(0.85)) {
      this.#note('all is quiet')
      await rest(this.#cluster, (ms) => this.#controller.sleep(ms))
      for (const what of checkHeld(this.#cluster.living)) this.#fail('something is held for nobody', what)
      await this.#controlled?.checkQuiet()
      await this.#inspect()
    }
    for (const job of this.#jobs.values()) await this.#controller.endJob(job)
    await this.#controller.sleep(FORGET_MS)
    await this.#controlled?.checkOver()
    for (const what of checkEmpty(this.#cluster.living)) this.#fail('bytes are left', what)
    for (const { host } of this.#clients) if (host.alive) this.#cluster.crash(host, false)
    // A server learns from its kernel that the peer of a silent connection is gone; the kernel is not simulated.
    if (firstOf(this.#chosenFaults(), forgottenKinds) === Number.POSITIVE_INFINITY) {
      await this.#controller.sleep(LET_GO_MS)
      for (const what of checkLetGo(this.#cluster.living)) this.#fail('something is held for nobody', what)
    }
    const { living, backends } = this.#cluster
    const ends = [...this.#jobs.values()].map(({ endAskedMs }) => endAskedMs ?? 0)
    // Of a job whose nodes have all died before its end only the bucket's lifecycle rule removes records.
    const couldRemove = living.some(({ startedMs }) => startedMs < Math.min(...ends))
    const strays = couldRemove ? await backends.strays(this.#controller.host, this.#deaths.length > 0) : []
    // What a misbehaving store has left behind is removed by other means.
    if (this.#chosenFaults().some(({ kind }) => storeKinds.includes(kind))) return
    if (strays.length > 0) this.#fail('something is left in a store', strays.slice(0, 5).join(', '))
  }

  async #begin(): Promise<void> {
    const { random } = this.#cluster
    for (const server of this.#cluster.metadata.all) await this.#cluster.metadata.start(server)
    const drawn = { nodes: 2 + random.below(3) }
    const nodes = this.#profile.nodes ?? drawn.nodes
    await this.#controlled?.begin()
    if (!this.#controller.decides) for (let i = 0; i < nodes; i++) await this.#cluster.startNode()
    const anyOf = random.pick([4, 8, 16])
    const slots = this.#profile.slots ?? anyOf
    const [capacityBytes, ssdBytes, s3Bytes] = roomOf(random, nodes)
    for (const name of JOBS) {
      const job = await this.#controller.createJob(name, { slots, capacityBytes, ssdBytes, s3Bytes })
      this.#jobs.set(job.id, job)
      this.#cluster.network.keepSecret(partsOfToken(parseTicket(job.ticket).token).mac)
    }
    this.#mix = new Mix([...this.#jobs.keys()], this.#profile)
    for (const job of this.#jobs.values()) await createBuckets(this.#cluster, this.#controller.host, job)
  }

  #startClients(): Client[] {
    const calls = Math.ceil(this.#plan.calls / CLIENTS)
    const clients = Array.from({ length: CLIENTS }, (_, index) =>
      this.#newClient(`client/${index}`, { calls, hasTwin: this.#profile.twins }),
    )
    for (const client of clients) client.start()
    return clients
  }

  #newClient(name: string, own: Pick<ClientOptions, 'calls' | 'hasTwin' | 'restored'>): Client {
    const client = new Client({
      cluster: this.#cluster,
      jobs: this.#jobs,
      history: this.#history,
      mix: this.#mix,
      random: this.#cluster.random.fork(name),
      ...own,
      thinkMsMax: this.#profile.thinkMsMax,
      lanes: this.#profile.lanes,
      violate: (rule, what) => this.#fail(rule, what),
    })
    this.#clients.push(client)
    return client
  }

  #chosenFaults(): Fault[] {
    const { faults } = this.#plan
    return this.#faults.filter(({ number }) => faults === null || faults.includes(number))
  }

  /** When the first fault begins that is of none of these kinds. */
  #firstBut(kinds: readonly FaultKind[]): number {
    const chosen = this.#chosenFaults()
    return firstOf(
      chosen,
      chosen.flatMap(({ kind }) => (kinds.includes(kind) ? [] : [kind])),
    )
  }

  /** Whether no fault so far can keep a running node from being heard. */
  #isAudible(): boolean {
    return firstOf(this.#chosenFaults(), silencingKinds) > this.#cluster.timeline.nowMs
  }

  async #at(scene: Scene, fault: Fault): Promise<void> {
    await this.#controller.sleep(fault.atMs)
    this.#note(describeFault(fault))
    await inject(scene, fault)
  }

  /** At rest: every key is read, and every byte is accounted for. */
  async #inspect(): Promise<void> {
    const cluster = this.#cluster
    const sleep = (ms: number): Promise<void> => this.#controller.sleep(ms)
    const reader = this.#newClient('reader', { calls: 0 })
    for (const job of this.#jobs.values()) {
      if (job.endAskedMs !== null) continue
      const homes = this.#mix.homes().filter((home) => home.job === job.id)
      const { calls } = this.#history
      const isForgotten = this.#forgotten.has(job.id)
      this.#failures.push(...(await inspect({ cluster, job, homes, reader, calls, isForgotten, sleep })))
    }
  }

  /** What the death may destroy is determined now, while the memory of the nodes is unchanged. */
  #nodeDies(node: RunningNode, ofJobs: readonly string[] = [...this.#jobs.keys()]): void {
    const dead = this.#dead.get(node.id) ?? new Set()
    const jobs = ofJobs.filter((job) => !dead.has(job))
    if (node.service === null || jobs.length === 0) return
    this.#dead.set(node.id, dead)
    for (const job of jobs) dead.add(job)
    const { metadata, living } = this.#cluster
    const spotOf = metadata.spots()
    const losses = lossesOf({
      node,
      others: living.filter((other) => !jobs.some((job) => this.#dead.get(other.id)?.has(job))),
      jobs: new Map(jobs.map((id) => [id, this.#jobs.get(id)?.slots ?? 0])),
      spots: this.#mix
        .homes()
        .map(spotOf)
        .filter(({ job }) => jobs.includes(job)),
      wasPublished: (job, slot) => metadata.wasPublished(job, slot, node.id),
    })
    this.#deaths.push({
      node: node.id,
      atMs: this.#cluster.timeline.nowMs,
      touches: (home) => (jobs.includes(home.job) ? losses(spotOf(home)) : { slot: false, chunks: false }),
    })
  }

  /** I24: what the client waited for ends soon after the servers have learned of its death. */
  #clientDied(client: string, machine: boolean): void {
    const laterMs = (machine ? MACHINE_GONE_MS_MAX : 0) + WAIT_OVER_MS_MAX
    if (this.#firstBut(promptKinds) === Number.POSITIVE_INFINITY)
      this.#history.waitsEnd(client, this.#cluster.timeline.nowMs + laterMs)
  }

  /** A metadata server may declare a running node dead only after its lease has lapsed, or if the controller says so. */
  #declaredDead(node: RunningNode, by: MetadataServer): void {
    const isNew = !this.#dead.has(node.id)
    if (this.#isAudible())
      this.#fail('a process ended', `${node.id} is given up by ${by.id}, and nobody was silent`)
    this.#nodeDies(node, jobsOf(by))
    this.#note(`${node.id} is given up by ${by.id}`)
    this.#repairs.push(this.#watchDead(node, by))
    const scene = this.#scene
    if (scene !== null && isNew) this.#repairs.push(replaceLost(scene, node))
  }

  /** The node has learned that it was declared dead. Its slots of another server's jobs are lost with it, and the fleet sees its exit. */
  #ending(node: RunningNode): void {
    // A job that was transferred before this server declared its node dead is still served here.
    const { service } = node
    const served = service === null ? [] : [...this.#jobs.keys()].filter((job) => mayServe(service, job))
    for (const job of served) this.#dead.get(node.id)?.delete(job)
    // The node may learn it before the death is stored; in that case the controller has not been told yet to replace it.
    const scene = this.#scene
    if (scene !== null && !this.#dead.has(node.id)) this.#repairs.push(replaceLost(scene, node))
    this.#nodeDies(node)
    this.#repairs.push(this.#controller.proveDeath(node))
  }

  /**
   * From when it is declared dead until its process ends, the node serves none of that server's jobs. A job that the server took over while it stored the death
   * still has the node, whose silence is measured anew for it.
   */
  async #watchDead(node: RunningNode, by: MetadataServer): Promise<void> {
    const { service, host } = node
    const jobs = jobsOf(by)
    for (let looks = 0; looks < 100 && service !== null && host.alive; looks++) {
      const decided = jobsOf(by, node.id)
      const served = jobs.filter((job) => decided.includes(job) && mayServe(service, job))
      if (served.length > 0)
        return this.#fail('a node that was given up serves', `${node.id} serves ${served.join(', ')}`)
      await this.#controller.sleep(20)
    }
  }

  #note(what: string): void {
    this.#notes.push(`${this.#cluster.timeline.nowMs.toFixed(1)} ms: ${what}`)
  }

  #fail(rule: string, what: string): void {
    this.#failures.push({ rule, what })
  }
}
