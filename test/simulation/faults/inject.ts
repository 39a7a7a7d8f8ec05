import { unreachable } from '../../../protocol/assert.ts'
import { HEARTBEAT_MS, LEASE_MARGIN_MS, NODE_LEASE_MS } from '../../../protocol/limits.ts'
import type { Client } from '../traffic/client.ts'
import type { Twin } from '../traffic/twin.ts'
import type { Cluster, RunningNode } from '../world/cluster.ts'
import type { Control, PlacedJob } from '../world/control.ts'
import type { Host } from '../world/host.ts'
import { isPresent, pulledSlots, unsettledSlots } from '../world/inspection.ts'
import type { MetadataServer } from '../world/metadata-servers.ts'
import type { SeededRandom } from '../world/random.ts'
import { during, pause, pauseClients, restoreTwice, suspendClients, thawForgotten } from './client-faults.ts'
import { injectAtController } from './controller-faults.ts'
import { type ControllerFaultKind, type Fault, type FaultKind, isOfController } from './plan.ts'

export interface Scene {
  readonly cluster: Cluster
  readonly controller: Control
  readonly clients: readonly Client[]
  readonly jobs: ReadonlyMap<string, PlacedJob>
  /** Called when a node dies, while its memory can still be inspected. */
  readonly nodeDies: (node: RunningNode) => void
  /** Called when a client has died; with its machine, its servers learn it late. */
  readonly clientDied: (client: Client, machine: boolean) => void
  /** Starts a second process from the memory of a client. */
  readonly restore: (twin: Twin, random: SeededRandom) => void
  /** Records what happened, for a failure's report. */
  readonly note: (what: string) => void
}

/** Injects a fault; resolves when it, and the controller's reaction, are over. */
export async function inject(scene: Scene, fault: Fault): Promise<void> {
  const { cluster, controller } = scene
  const random = cluster.random.fork(fault.seed)
  if (isOfController(fault)) return await injectAtController(scene, fault, random)
  const kind = fault.kind as Exclude<FaultKind, ControllerFaultKind>
  switch (kind) {
    case 'crashNode':
      return await crashNode(scene, fault, random)
    case 'pauseNode':
      return await pauseNode(scene, fault, random)
    case 'crashMetadata':
      return await crashMetadata(scene, fault, random)
    case 'pauseMetadata':
      return await pause(scene, fault, random.pick(cluster.metadata.all).host)
    case 'moveJob':
      return await moveJob(scene, fault, random)
    case 'crashDeparting':
      return await moveJob(scene, fault, random, () => random.pick(cluster.metadata.all))
    case 'crashClient': {
      const client = random.pick(scene.clients)
      if (client.done || !client.host.alive) return
      scene.note(`${client.host.id} crashes`)
      const machine = random.chance(0.3)
      cluster.crash(client.host, machine)
      scene.clientDied(client, machine)
      await controller.sleep(fault.lastsMs)
      return client.start()
    }
    case 'pauseClient':
      return await pauseClients(scene, fault, random)
    case 'partition':
      return await partition(scene, fault, random)
    case 'breakConnections':
      return await breakConnections(scene, fault, random)
    case 'slow':
      return await during(scene, fault, cluster.network.slow(pickIp(scene, random), random.between(10, 60)))
    case 'refuse':
      return await during(scene, fault, cluster.network.refuse(pickIp(scene, random)))
    case 'controllerSilent':
      cluster.controllerHears = false
      return await during(scene, fault, () => {
        cluster.controllerHears = true
      })
    case 'loseAnswers':
      return await during(scene, fault, cluster.network.lose(random.between(0.005, 0.1)))
    case 'rebalance':
      return await rebalance(scene, fault, random)
    case 'addNode':
      return await addNode(scene)
    case 'drainNode':
      return await drainNode(scene, random)
    case 'crashDrained':
      return await crashDrained(scene, fault, random)
    case 'crashTarget':
      return await crashTarget(scene, fault, random)
    case 'stallConnections':
      return await during(scene, fault, cluster.network.stallSome(random.between(0.02, 0.3), random))
    case 'forgetConnections':
      return cluster.network.forgetSome(random.between(0.1, 1), random)
    case 'freezeClient':
      return await pauseClients(scene, fault, random)
    case 'setClock':
      return setClock(scene, random)
    case 'suspendClient':
      return await suspendClients(scene, fault, random)
    case 'thawForgotten':
      return await thawForgotten(scene, fault, random)
    case 'restoreTwice':
      return await restoreTwice(scene, random)
    case 'storeRefuses':
      return await during(scene, fault, cluster.backends.faults.begin('refuses', random.pick([0.1, 0.5, 1])))
    case 'storeIsSlow':
      return await during(scene, fault, cluster.backends.faults.begin('slow', random.pick([0.1, 0.5, 1])))
    case 'storeLosesAnswers':
      return await during(
        scene,
        fault,
        cluster.backends.faults.begin('losesAnswers', random.pick([0.1, 0.3, 0.6])),
      )
    case 'lateWord':
      return await lateWord(scene, random)
    case 'endJob': {
      const job = [...scene.jobs.values()].at(-1)
      return job === undefined ? undefined : await controller.endJob(job)
    }
    default:
      return unreachable(kind)
  }
}

/** Pauses a node: often one that takes part in a handoff, and until about the time when it is declared dead. */
async function pauseNode(scene: Scene, fault: Fault, random: SeededRandom): Promise<void> {
  const node = random.chance(0.5) ? await movingNode(scene, random) : pickNode(scene, random)
  const aboutLeaseMs = NODE_LEASE_MS + random.between(-HEARTBEAT_MS, LEASE_MARGIN_MS + HEARTBEAT_MS)
  const lastsMs = random.chance(0.4) ? aboutLeaseMs : fault.lastsMs
  if (node !== null) await pause(scene, { ...fault, lastsMs }, node.host)
}

/** Kills the process and starts another, sometimes before its death is proved and sometimes at its address. */
async function crashNode(scene: Scene, fault: Fault, random: SeededRandom): Promise<void> {
  const node = random.chance(0.6) ? await movingNode(scene, random) : pickNode(scene, random)
  if (node !== null) await kill(scene, node, { fault, random })
}

async function kill(
  scene: Scene,
  node: RunningNode,
  { fault, random }: { fault: Fault; random: SeededRandom },
): Promise<void> {
  const { cluster, controller } = scene
  const machine = random.chance(0.3)
  const unseen = random.chance(0.3)
  scene.nodeDies(node)
  cluster.crash(node.host, machine)
  scene.note(`${node.id} dies${machine ? ' with its machine' : ''}`)
  for (const job of scene.jobs.values()) job.nodes = job.nodes.filter((other) => other !== node)
  const prove = async (): Promise<void> => {
    // A fleet that sees the exit reports it at once.
    await controller.sleep(random.chance(0.4) ? random.between(0, 5) : random.between(1, fault.lastsMs))
    // Without that proof the node is declared dead by its silence.
    if (unseen) return
    await controller.proveDeath(node)
    scene.note(`the death of ${node.id} is proved`)
  }
  const replace = async (): Promise<void> => {
    await controller.sleep(random.chance(0.4) ? random.between(0, 30) : random.between(1, 2 * fault.lastsMs))
    await addNode(scene, !machine && random.chance(0.5) ? node.host.ip : undefined)
  }
  await Promise.all([prove(), replace()])
}

/** Kills the new owner of a slot while it still pulls the slot's bytes and others have written there. */
async function crashTarget(scene: Scene, fault: Fault, random: SeededRandom): Promise<void> {
  const { cluster, controller, jobs } = scene
  const ids = [...jobs.keys()]
  for (let tries = 0; tries < 500; tries++) {
    const pulling = cluster.living.filter(
      ({ service }) => service !== null && ids.some((job) => pulledSlots(service, job).length > 0),
    )
    const node = pulling.length > 0 ? random.pick(pulling) : null
    if (node === null) await controller.sleep(2)
    else {
      await controller.sleep(random.between(0, 150))
      if (node.host.alive) await kill(scene, node, { fault, random })
      return
    }
  }
}

/** A network that occasionally resets connections; most are not affected. */
async function breakConnections(scene: Scene, fault: Fault, random: SeededRandom): Promise<void> {
  const { cluster, controller } = scene
  const untilMs = cluster.timeline.nowMs + fault.lastsMs
  while (cluster.timeline.nowMs < untilMs) {
    cluster.network.breakSome(random.between(0.02, 0.4), random)
    await controller.sleep(random.between(5, 150))
  }
}

async function crashMetadata(scene: Scene, fault: Fault, random: SeededRandom): Promise<void> {
  await restart(scene, random.pick(scene.cluster.metadata.all), { fault, random })
}

async function restart(
  { cluster, controller, note }: Scene,
  server: MetadataServer,
  { fault, random }: { fault: Fault; random: SeededRandom },
): Promise<void> {
  if (!server.host.alive) return
  note(`${server.id} dies`)
  cluster.crash(server.host, random.chance(0.2))
  await controller.sleep(fault.lastsMs)
  await cluster.metadata.start(server)
  note(`${server.id} is there again`)
}

/** Transfers jobs from one metadata server to another and back; with `victim`, one of the two dies at about that time. */
async function moveJob(
  scene: Scene,
  fault: Fault,
  random: SeededRandom,
  victim?: () => MetadataServer,
): Promise<void> {
  const { cluster, controller, jobs } = scene
  const servers = cluster.metadata.all
  if (servers.length < 2) return
  const untilMs = cluster.timeline.nowMs + fault.lastsMs
  do {
    const job = random.pick([...jobs.values()])
    const target = random.pick(servers.filter(({ address }) => address !== job.servers.at(-1)))
    scene.note(`${job.id} is to go to ${target.id}`)
    const moving = controller.moveJob(job, target)
    if (victim !== undefined) {
      await controller.sleep(random.chance(0.6) ? random.between(0, 10) : random.between(0, 200))
      await restart(scene, victim(), { fault: { ...fault, lastsMs: random.between(5, 2_500) }, random })
    }
    await moving
    scene.note(`${job.id} is with ${target.id}`)
    await controller.sleep(random.between(20, 500))
  } while (cluster.timeline.nowMs < untilMs)
}

/** The longest time that a server waits for a node's confirmation of a change before it continues. */
const WORD_HELD_MS_MAX = 9_000

/** Delays an ownership message of metadata to one node until the job has been transferred to another server, whose messages the node has received by then. */
async function lateWord(scene: Scene, random: SeededRandom): Promise<void> {
  const { cluster, controller, jobs } = scene
  const job = random.pick([...jobs.values()])
  const from = cluster.metadata.all.find(({ address }) => address === job.servers.at(-1))
  const target = cluster.metadata.all.find((server) => server !== from)
  const node = job.nodes.length > 0 ? random.pick(job.nodes) : undefined
  if (from === undefined || target === undefined || node === undefined) return
  const undo = cluster.network.stall(from.ip, node.host.ip)
  scene.note(`what ${from.id} says to ${node.id} is late`)
  const told = controller.setShares(job)
  await controller.sleep(random.between(1, 20))
  scene.note(`${job.id} is to go to ${target.id}`)
  const moved = controller.moveJob(job, target)
  await Promise.race([moved, controller.sleep(WORD_HELD_MS_MAX)])
  await controller.sleep(random.between(20, 300))
  undo()
  scene.note(`what ${from.id} said to ${node.id} arrives`)
  await Promise.all([told, moved])
}

/** Metadata has declared a node dead that runs, or whose death was not proved. */
export async function replaceLost(scene: Scene, node: RunningNode): Promise<void> {
  for (const job of scene.jobs.values()) job.nodes = job.nodes.filter((other) => other !== node)
  await addNode(scene)
}

async function addNode(scene: Scene, ip?: string): Promise<void> {
  if (scene.controller.decides) return
  const node = await scene.cluster.startNode({ ip })
  scene.note(`${node.id} joins${ip ? ' at the address of a dead one' : ''}`)
  for (const job of scene.jobs.values()) job.nodes.push(node)
  await share(scene)
}

/** Changes shares repeatedly, so that slots move back and forth. */
async function rebalance(scene: Scene, fault: Fault, random: SeededRandom): Promise<void> {
  const { cluster, controller, jobs } = scene
  const untilMs = cluster.timeline.nowMs + fault.lastsMs
  do {
    for (const job of jobs.values())
      for (const node of job.nodes) job.weights.set(node.id, random.pick([0, 1, 10, 100]))
    await share(scene)
    await controller.sleep(random.between(20, 500))
  } while (cluster.timeline.nowMs < untilMs)
}

async function drainNode(scene: Scene, random: SeededRandom): Promise<void> {
  const node = await takeShares(scene, random)
  if (node !== null) await stopWhenEmpty(scene, node)
}

/** Kills a node while it drains: it owns slots and has no share any more. */
async function crashDrained(scene: Scene, fault: Fault, random: SeededRandom): Promise<void> {
  const node = await takeShares(scene, random)
  await scene.controller.sleep(random.between(0, 200))
  if (node?.host.alive) await kill(scene, node, { fault, random })
}

/** Gives a node's share of the jobs to other nodes, if there are any. */
async function takeShares(scene: Scene, random: SeededRandom): Promise<RunningNode | null> {
  const node = pickNode(scene, random)
  if (node === null || scene.cluster.living.length < 2) return null
  scene.note(`${node.id} is to be emptied`)
  for (const job of scene.jobs.values()) {
    if (job.nodes.length > 1) job.nodes = job.nodes.filter((other) => other !== node)
  }
  await share(scene)
  return node
}

/** Stops a node that holds nothing; nothing may be lost with it. */
async function stopWhenEmpty(
  { cluster, controller, jobs, nodeDies, note }: Scene,
  node: RunningNode,
): Promise<void> {
  for (let tries = 0; tries < 200 && node.host.alive; tries++) {
    await controller.sleep(50)
    const { service } = node
    if (service === null || [...jobs.keys()].some((job) => isPresent(service, job))) continue
    nodeDies(node)
    cluster.crash(node.host, false)
    note(`${node.id} is empty and stops`)
    return await controller.proveDeath(node)
  }
}

async function share({ controller, jobs }: Scene): Promise<void> {
  await Promise.all([...jobs.values()].map((job) => controller.setShares(job)))
}

async function partition(scene: Scene, fault: Fault, random: SeededRandom): Promise<void> {
  const ips = ipsOf(scene)
  const cut = ips.filter(() => random.chance(0.4))
  const rest = ips.filter((ip) => !cut.includes(ip))
  const away = random.chance(0.8) ? scene.cluster.network.block(cut, rest) : () => undefined
  const back = random.chance(0.7) ? scene.cluster.network.block(rest, cut) : () => undefined
  scene.note(`nothing passes between ${cut.join(', ')} and the others`)
  // One direction is often free again before the other, so that late answers arrive and requests do not.
  const shorter = { ...fault, lastsMs: fault.lastsMs * random.between(0.1, 1) }
  const [first, last] = random.chance(0.5) ? [away, back] : [back, away]
  await Promise.all([during(scene, shorter, first), during(scene, fault, last)])
}

/** A node that takes part in a handoff, as soon as there is one, because a death has the most effect then. After a while, any node. */
async function movingNode(scene: Scene, random: SeededRandom): Promise<RunningNode | null> {
  const { cluster, controller, jobs } = scene
  const ids = [...jobs.keys()]
  for (let tries = 0; tries < 500; tries++) {
    const moving = cluster.living.filter(
      ({ service }) => service !== null && ids.some((job) => unsettledSlots(service, job).length > 0),
    )
    if (moving.length > 0) return random.pick(moving)
    await controller.sleep(2)
  }
  return pickNode(scene, random)
}

/** A node that runs and has begun to serve. */
function pickNode({ cluster }: Scene, random: SeededRandom): RunningNode | null {
  const nodes = cluster.living.filter(({ service }) => service !== null)
  return nodes.length === 0 ? null : random.pick(nodes)
}

/** The network of a scripted controller has no faults, because the script is not under test. */
function ipsOf(scene: Scene): string[] {
  return [...hostsOf(scene).map(({ ip }) => ip), ...scene.controller.ips]
}

/** The machines of all planes and clients but the controller's. */
function hostsOf({ cluster, clients }: Scene): Host[] {
  return [...cluster.metadata.all, ...cluster.living, ...clients].map(({ host }) => host)
}

function pickIp(scene: Scene, random: SeededRandom): string {
  return random.pick(ipsOf(scene))
}

/** The furthest that a wall clock is set, forwards or backwards: about as far as the times to live. */
const SET_MS_MAX = 2_500

/** Somebody sets the wall clock of a machine; its monotonic clock goes on. */
function setClock(scene: Scene, random: SeededRandom): void {
  const { cluster, note } = scene
  const host = random.pick(hostsOf(scene))
  const byMs = random.between(-SET_MS_MAX, SET_MS_MAX)
  cluster.jumpedMs += Math.abs(byMs)
  host.setWall(byMs)
  note(`the clock of ${host.id} is set by ${byMs.toFixed(0)} ms`)
}
