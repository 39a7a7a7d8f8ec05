import type { Host } from '../world/host.ts'
import type { SeededRandom } from '../world/random.ts'
import type { Scene } from './inject.ts'
import type { Fault } from './plan.ts'

export async function pauseClients(scene: Scene, fault: Fault, random: SeededRandom): Promise<void> {
  const paused = scene.clients.filter(() => random.chance(0.6))
  await Promise.all(paused.map(({ host }) => pause(scene, fault, host)))
}

/** Freezes functions while the network forgets their connections. */
export async function thawForgotten(scene: Scene, fault: Fault, random: SeededRandom): Promise<void> {
  const { network } = scene.cluster
  const frozen = scene.clients.filter(({ host }) => host.alive && random.chance(0.6))
  await Promise.all([
    ...frozen.map(({ host }) => pause(scene, fault, host)),
    during(scene, { ...fault, lastsMs: fault.lastsMs * random.fraction() }, () => {
      for (const { host } of frozen) network.forgetSome(1, random, host)
    }),
  ])
}

/** Restores another client from a snapshot of one, at once or later; the connections of the first may break then. */
export async function restoreTwice(scene: Scene, random: SeededRandom): Promise<void> {
  const { cluster, controller, clients, note } = scene
  const client = random.pick(clients)
  const twin = client.takeTwin()
  if (twin === null) return note(`${client.host.id} has no twin`)
  twin.snapshot()
  note(`a snapshot of ${client.host.id} is taken`)
  if (random.chance(0.5)) cluster.network.breakSome(1, random, client.host)
  if (random.chance(0.5)) await controller.sleep(random.between(0, 2_500))
  scene.restore(twin, random)
  note(`${twin.host.id} goes on from it`)
}

/** Machines of clients are suspended, and their monotonic clocks with them. */
export async function suspendClients(scene: Scene, fault: Fault, random: SeededRandom): Promise<void> {
  const suspended = scene.clients.filter(({ host }) => host.alive && random.chance(0.6))
  for (const { host } of suspended) {
    scene.note(`${host.id} is suspended`)
    host.suspend()
  }
  await during(scene, fault, () => {
    for (const { host } of suspended) host.resume()
  })
}

export async function pause(scene: Scene, fault: Fault, host: Host): Promise<void> {
  if (!host.alive) return
  scene.note(`${host.id} is paused`)
  host.pause()
  await during(scene, fault, () => host.resume())
}

/** Ends a fault when its duration has passed. */
export async function during({ controller }: Scene, { lastsMs }: Fault, undo: () => void): Promise<void> {
  await controller.sleep(lastsMs)
  undo()
}
