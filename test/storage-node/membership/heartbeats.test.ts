import { expect, test } from 'vitest'
import { noCalls } from '../../../protocol/operations/reports.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import type { CallerPool } from '../../../protocol/transport/caller-pool.ts'
import { Heartbeats } from '../../../storage-node/membership/heartbeats.ts'
import type { StorageNode } from '../../../storage-node/node.ts'
import { background } from '../../fixture/background.ts'

test('a metadata server whose machine is gone holds back no heartbeat to another one', async () => {
  const beats: string[] = []
  const node = {
    id: 'n-1',
    ownership: {
      metadataServers: new Set(['gone', 'living']),
      jobsOf: () => [],
      renewLease: (server: string) => beats.push(server),
    },
  }
  let dials = 0
  const pool = {
    to: async (address: string) => {
      if (address === 'gone') {
        dials++
        return await new Promise<never>(() => undefined)
      }
      return { call: async () => ({ head: { leaseMs: 1000, jobs: [], moved: [] } }) }
    },
  }
  const heartbeats = new Heartbeats(node as unknown as StorageNode, {
    clock: systemRuntime.clock,
    background,
    pool: pool as unknown as CallerPool,
    calls: () => noCalls,
    self: { class: 'test', address: '127.0.0.1:1', pid: 1 },
    cpuSeconds: () => 0,
    tellController: async () => ({ metadata: [] }),
    onDead: () => undefined,
    onEnd: () => undefined,
  })
  for (let round = 0; round < 3; round++) {
    void heartbeats.beatMetadata()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  expect(beats).toEqual(['living', 'living', 'living'])
  expect(dials).toBe(1)
})
