import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { withShares } from '../../metadata/decide/decisions.ts'
import { newRecord } from '../../metadata/decide/job-record.ts'
import { Driver } from '../../metadata/drive/driver.ts'
import { Gate } from '../../metadata/drive/gate.ts'
import { Jobs } from '../../metadata/drive/jobs.ts'
import type { Messenger } from '../../metadata/drive/messenger.ts'
import { SqlitePlacementStore } from '../../metadata/store/sqlite-placement-store.ts'
import { nodeOperations } from '../../protocol/operations/plane-operations.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { background } from '../fixture/background.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const JOB = 'j-1'
const share = (node: string, weight: number) => ({
  node,
  address: `${node}:1`,
  weight,
  ramBytes: 1000,
  ssdBytes: 0,
  s3Bytes: 0,
  bytesPerSecond: 0,
})

/** Moves all slots from n-1 to n-2, which confirm every message; `whenReleased` runs before each release. */
async function moveAll(options: { dead: Set<string>; whenReleased: () => void }) {
  const store = new SqlitePlacementStore(join(await tempDir(), 'metadata.sqlite'))
  onTestFinished(() => store.close())
  const jobs = new Jobs(store)
  const messenger: Pick<Messenger, 'sendUntilConfirmed' | 'callUntilConfirmed'> = {
    sendUntilConfirmed: async (_node, operation, next) => {
      const request = next()
      if (operation.number === nodeOperations.release.number) options.whenReleased()
      return request !== null
    },
    callUntilConfirmed: async () => null,
  }
  const driver = new Driver({
    jobs,
    gate: new Gate(),
    runtime: systemRuntime,
    background,
    messenger: messenger as Messenger,
    address: 'm:1',
    generation: 1,
    isDead: (node) => options.dead.has(node),
    onShown: () => undefined,
    onTransferred: () => undefined,
  })
  await jobs.create(JOB, () => withShares(newRecord(JOB, 4), [share('n-1', 1)]))
  await driver.sendOwnership(JOB, { id: 'n-1', address: 'n-1:1' })
  await jobs.change(JOB, (record) => withShares(record, [share('n-1', 0), share('n-2', 1)]))
  await driver.plan(JOB)
  return () => jobs.record(JOB).moves.map(({ published }) => published)
}

test('a move is published once its source has delivered the index', async () => {
  const published = await moveAll({ dead: new Set(), whenReleased: () => undefined })
  await expect.poll(() => published().every((is) => is)).toBe(true)
})

test.each([
  ['source', 'n-1'],
  ['target', 'n-2'],
])('a move is not published when the death of its %s was decided before the index came', async (_, node) => {
  const dead = new Set<string>()
  let releases = 0
  const published = await moveAll({
    dead,
    whenReleased: () => {
      dead.add(node)
      releases++
    },
  })
  await expect.poll(() => releases).toBeGreaterThan(0)
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(published().length).toBeGreaterThan(0)
  expect(published().some((is) => is)).toBe(false)
})
