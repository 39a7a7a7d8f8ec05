import { isError } from '../../../protocol/errors.ts'
import type { SeededRandom } from '../world/random.ts'
import { isReal, type RealController } from '../world/real-controller.ts'
import type { Scene } from './inject.ts'
import type { ControllerFaultKind, Fault } from './plan.ts'

/** As `inject`, for faults of the controller and for requests of operators and drivers. */
export async function injectAtController(
  scene: Scene,
  fault: Fault & { kind: ControllerFaultKind },
  random: SeededRandom,
): Promise<void> {
  const { controller } = scene
  if (!isReal(controller)) return
  switch (fault.kind) {
    case 'crashController':
      return await crash(scene, controller, fault)
    case 'pauseController': {
      const host = controller.process?.host
      if (host === undefined) return
      scene.note(`${host.id} is paused`)
      host.pause()
      await controller.sleep(fault.lastsMs)
      return host.resume()
    }
    case 'diskFails':
      controller.disk.failing = true
      await controller.sleep(fault.lastsMs)
      controller.disk.failing = false
      return
    case 'operatorDrains':
      return await drain(scene, controller, random)
    case 'resizeJob':
      return await resize(scene, controller, random)
  }
}

async function crash({ note }: Scene, controller: RealController, { lastsMs }: Fault): Promise<void> {
  if (controller.process === null) return
  note(`${controller.process.host.id} dies`)
  controller.crash()
  await controller.sleep(lastsMs)
  await controller.start()
  note('the controller is there again')
}

/** An operator drains a node. If the others have no room for its data, the data stays. */
async function drain({ note }: Scene, controller: RealController, random: SeededRandom): Promise<void> {
  const { host, fleet } = controller
  if (fleet.nodes.length === 0) return
  const node = random.pick(fleet.nodes)
  try {
    await controller.ask(host, ({ drains }) => drains.begin(node, 'any'))
    note(`${node} drains`)
  } catch (error) {
    if (!isError(error, 'UNAVAILABLE', 'BAD_REQUEST', 'RESERVATION_REFUSED', 'NODE_NOT_FOUND')) throw error
  }
}

/** A driver changes hints repeatedly. */
async function resize(
  { jobs, note }: Scene,
  controller: RealController,
  random: SeededRandom,
): Promise<void> {
  const { host } = controller
  for (let times = 1 + random.below(4); times > 0; times--) {
    const { id, endAskedMs } = random.pick([...jobs.values()])
    const hints = { capacityBytes: random.pick([8_000, 24_000, 60_000, 100_000]) }
    if (endAskedMs !== null) return
    try {
      await controller.ask(host, (asked) => asked.jobs.resize(id, hints))
      note(`${id} is resized to ${hints.capacityBytes} bytes`)
    } catch (error) {
      if (!isError(error, 'UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESERVATION_REFUSED', 'JOB_ENDED')) throw error
    }
    await controller.sleep(random.between(20, 1_500))
  }
}
