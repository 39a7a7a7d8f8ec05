import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Child } from '../../../cli/up/child.ts'
import { NodeProcesses } from '../../../cli/up/node-processes.ts'
import { ProcessFleet } from '../../../controller/nodes/fleet/process-fleet.ts'
import { CONTROL_CALL_MS } from '../../../protocol/limits.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import type { FromChild, ToController } from '../../../service/process/supervision.ts'
import { tempDir } from '../../fixture/temp-dir.ts'
import { type FleetWorld, fleetContract } from '../support/fleet-contract.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

function begin() {
  const clock = new VirtualClock()
  const told: FromChild[] = []
  const seen: unknown[] = []
  let hear: (message: ToController) => void = () => undefined
  const fleet = new ProcessFleet(
    {
      tell: (message) => void told.push(message),
      listen: (handler) => {
        hear = handler
      },
    },
    clock,
  )
  fleet.watch({
    started: ({ node, pid }) => void seen.push(['started', node, pid]),
    exited: (node, reason) => void seen.push(['exited', node, reason]),
    gone: (node) => void seen.push(['gone', node]),
    listed: (nodes) => void seen.push(['listed', nodes]),
  })
  return { clock, fleet, told, seen, hear: (message: ToController) => hear(message) }
}

const program = new URL('../../fixture/fleet-node.mjs', import.meta.url)

/** The supervisor's processes, and the channel to its present controller. */
async function supervised(): Promise<FleetWorld> {
  const dir = await tempDir()
  const { clock } = systemRuntime
  let hear: (message: ToController) => void = () => undefined
  const spawn = (node: string, nodeClass: string): Child => {
    if (nodeClass === 'unknown') throw new Error(`there is no node class '${nodeClass}'`)
    const environment = { MAYFLY_NODE_ID: node, MAYFLY_NODE_CLASS: nodeClass, CONTRACT_DIR: dir }
    return new Child({ name: node, program, environment, logFile: join(dir, `${node}.log`), clock })
  }
  const processes = new NodeProcesses({ spawn, tell: (message) => hear(message), onExited: () => undefined })
  onTestFinished(() => processes.kill())
  const tell = (message: FromChild): void => {
    if (message.type !== 'ready' && message.type !== 'startMetadata') processes.handle(message)
  }
  const listen = (handler: (message: ToController) => void): void => {
    hear = handler
  }
  return { dir, open: async () => new ProcessFleet({ tell, listen }, clock) }
}

describe('the process fleet, as every fleet', () => {
  fleetContract(supervised)
})

describe('the process fleet', () => {
  test('asks the supervisor to start and stop, and passes on what becomes of it', () => {
    const { fleet, told, seen, hear } = begin()
    fleet.start('n-a', 'local')
    fleet.stop('n-a')
    hear({ type: 'nodeStarted', node: 'n-a', pid: 5 })
    hear({ type: 'nodeExited', node: 'n-a', reason: 'SIGKILL' })
    expect(told).toEqual([
      { type: 'startNode', node: 'n-a', class: 'local' },
      { type: 'stopNode', node: 'n-a' },
    ])
    expect(seen).toEqual([
      ['started', 'n-a', 5],
      ['exited', 'n-a', 'SIGKILL'],
    ])
  })

  test('lists what runs', async () => {
    const { fleet, told, hear } = begin()
    const listed = fleet.list()
    expect(told).toEqual([{ type: 'listNodes' }])
    hear({ type: 'nodes', nodes: [{ node: 'n-a', pid: 5 }] })
    expect(await listed).toEqual([{ node: 'n-a', pid: 5 }])
  })

  test('gives up on a supervisor that does not answer', async () => {
    const { clock, fleet } = begin()
    const listed = expect(fleet.list()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await clock.advance(CONTROL_CALL_MS + 1)
    await listed
  })
})
