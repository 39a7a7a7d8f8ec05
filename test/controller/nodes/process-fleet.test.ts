import { describe, expect, test } from 'vitest'
import { ProcessFleet } from '../../../controller/nodes/fleet/process-fleet.ts'
import { CONTROL_CALL_MS } from '../../../protocol/limits.ts'
import type { FromChild, ToController } from '../../../service/process/supervision.ts'
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
  })
  return { clock, fleet, told, seen, hear: (message: ToController) => hear(message) }
}

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
