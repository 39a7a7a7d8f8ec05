import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { decodeRecord, encodeRecord } from '../../metadata/decide/job-record.ts'
import type { Messenger } from '../../metadata/drive/messenger.ts'
import { Placements } from '../../metadata/placements.ts'
import { soleTenure } from '../../metadata/store/placement-store.ts'
import { SqlitePlacementStore } from '../../metadata/store/sqlite-placement-store.ts'
import { HEARTBEAT_MS, LEASE_MARGIN_MS, NODE_LEASE_MS } from '../../protocol/limits.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { background } from '../fixture/background.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const nothing = { ssdBytes: 0, s3Bytes: 0, bytesPerSecond: 0 }
const shares = ['n-1', 'n-2'].map((node) => {
  return { node, address: `${node}:1`, weight: 1, ramBytes: 1000, ...nothing }
})

test('I18: a job that was handed on and has come back while a death is written down keeps its silent node for a whole lease', async () => {
  const store = new SqlitePlacementStore(join(await tempDir(), 'metadata.sqlite'))
  onTestFinished(() => store.close())
  let handed = Buffer.alloc(0)
  const messenger = {
    sendUntilConfirmed: async (_node: unknown, _operation: unknown, next: () => unknown) => next() !== null,
    sendAllUntilConfirmed: async (
      _node: unknown,
      _operation: unknown,
      next: () => { payload: Buffer }[] | null,
    ) => {
      const pages = next()
      if (pages !== null) handed = Buffer.concat(pages.map(({ payload }) => payload))
      return pages !== null
    },
    callUntilConfirmed: async () => null,
    reachWhile: async () => true,
  }
  let passedMs = 0
  const clock = { ...systemRuntime.clock, monotonicMs: () => passedMs }
  const placements = new Placements({
    store,
    messenger: messenger as unknown as Messenger,
    runtime: { ...systemRuntime, clock },
    background,
    address: 'm-1:1',
    generation: 1,
    tenure: soleTenure,
  })
  await placements.load()
  await placements.create('j-1', 8, { shares, readsPerThousand: null })
  const addDeadNodes = store.addDeadNodes.bind(store)
  let writeDown = (): void => undefined
  const written = new Promise<void>((resolve) => {
    writeDown = resolve
  })
  store.addDeadNodes = async (nodes) => {
    await written
    await addDeadNodes(nodes)
  }
  // Node n-1 is silent for longer than its lease.
  let burying: Promise<string[]> = Promise.resolve([])
  for (; passedMs <= NODE_LEASE_MS + LEASE_MARGIN_MS + HEARTBEAT_MS; passedMs += HEARTBEAT_MS) {
    placements.heartbeat('n-2', [])
    burying = placements.declareSilentDead()
  }
  await placements.move('j-1', { id: 'm-2', address: 'm-2:1' })
  const back = decodeRecord(handed)
  await placements.take(encodeRecord({ ...back, term: back.term + 1 }))
  writeDown()
  expect(await burying).toEqual(['n-1'])
  const { nodes } = await placements.placement('j-1', { known: 0, slot: 0 })
  expect(nodes.map(({ id }) => id).sort()).toEqual(['n-1', 'n-2'])
})
