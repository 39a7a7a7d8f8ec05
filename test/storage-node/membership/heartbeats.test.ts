import { expect, test } from 'vitest'
import { MayflyError } from '../../../protocol/errors.ts'
import { noCalls } from '../../../protocol/operations/reports.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import type { CallerPool } from '../../../protocol/transport/caller-pool.ts'
import { Heartbeats } from '../../../storage-node/membership/heartbeats.ts'
import type { StorageNode } from '../../../storage-node/node.ts'
import { background } from '../../fixture/background.ts'

const noBytes = { capacityBytes: 0, usedBytes: 0, overheadBytes: 0 }
const options = {
  clock: systemRuntime.clock,
  background,
  calls: () => noCalls,
  self: { class: 'test', address: '127.0.0.1:1', pid: 1 },
  cpuSeconds: () => 0,
  onEnd: () => undefined,
}

test('a node that the controller knows as dead ends, also if it knows no metadata server', async () => {
  const node = { id: 'n-1', ram: noBytes, lower: [], report: () => [], ownership: {} }
  const dead = new MayflyError('NODE_DEAD', 'Node n-1 was declared dead')
  const reasons: Error[] = []
  const heartbeats = new Heartbeats(node as unknown as StorageNode, {
    ...options,
    pool: {} as CallerPool,
    tellController: () => Promise.reject(dead),
    onDead: (reason) => void reasons.push(reason),
  })
  await heartbeats.beatController()
  expect(reasons).toEqual([dead])
})

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
    ...options,
    pool: pool as unknown as CallerPool,
    tellController: async () => ({ metadata: [] }),
    onDead: () => undefined,
  })
  for (let round = 0; round < 3; round++) {
    void heartbeats.beatMetadata()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  expect(beats).toEqual(['living', 'living', 'living'])
  expect(dials).toBe(1)
})
