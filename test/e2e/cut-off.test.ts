import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { LEASE_MARGIN_MS, NODE_LEASE_MS } from '../../protocol/limits.ts'
import { hashKey, slotOf } from '../../protocol/model/hash.ts'
import { DEFAULT_BUCKET_ID } from '../../protocol/model/keys.ts'
import { ownerOf, type Placement } from '../../protocol/model/placement.ts'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import { placementOperations } from '../../protocol/operations/plane-operations.ts'
import { seed } from '../controller/support/seed.ts'
import { startCuttableProxy } from '../fixture/cuttable-proxy.ts'
import { PlaneProcesses } from '../fixture/plane-processes.ts'
import { SeededRandom } from '../simulation/world/random.ts'
import { openFunctions } from './support/functions.ts'
import { judge } from './support/judge.ts'
import { Traffic } from './support/traffic.ts'

const JOB = 'j-cut'

test('a node that metadata cannot reach serves until its lease lapses and never after; its slots go to another, and it ends when it hears of that', async () => {
  const planes = await PlaneProcesses.start()
  const metadata = await planes.startMetadata()
  const towardsMetadata = await startCuttableProxy(metadata.port)
  const cutOff = await planes.startNode('n-cut', { [metadata.port]: towardsMetadata.port })
  const other = await planes.startNode('n-other')
  const towardsNode = await startCuttableProxy(cutOff.port)
  await metadata.redirect({ [cutOff.port]: towardsNode.port })
  const shares = [cutOff, other].map(({ id, address }) => ({
    node: id,
    address,
    weight: 1,
    ramBytes: 64 * 2 ** 20,
    ssdBytes: 0,
    s3Bytes: 0,
    bytesPerSecond: 1e6,
  }))
  const request = { job: JOB, slots: 256, readsPerThousand: null, shares }
  const placement = await planes.ask(metadata, placementOperations.jobCreate, { request })
  const clients = await openFunctions(planes.ticket(JOB, placement), 4)
  const random = new SeededRandom(`${seed}`)
  const traffic = new Traffic({ clients, lanes: 4, random, pauseMs: 10 })
  await sleep(1_500)

  towardsMetadata.cut()
  towardsNode.cut()
  const cutMs = performance.now()
  await sleep(NODE_LEASE_MS - 3_000)
  expect(judge({ calls: traffic.history.calls, lossesMs: [] }, { mayFail: false })).toEqual([])
  await sleep(3_100)
  const stat = { epoch: 0, bucket: DEFAULT_BUCKET_ID, key: keyOn(cutOff.id, placement) }
  const ask = planes.ask(cutOff, dataOperations.stat, { request: stat, job: JOB })
  await expect(ask).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  await sleep(LEASE_MARGIN_MS + 2_000)
  const late = traffic.history.calls.filter(({ kind, invokedMs }) => {
    return kind === 'put' && invokedMs > performance.now() - 1_000
  })
  expect(late.length).toBeGreaterThan(20)
  expect(late.filter(({ code }) => code !== 'ok')).toEqual([])
  expect(cutOff.child.exitCode).toBe(null)
  towardsMetadata.heal()
  towardsNode.heal()
  await expect.poll(() => cutOff.child.exitCode).toBe(1)
  expect(cutOff.log()).toContain('metadata has declared this node dead')
  await sleep(500)

  const history = await traffic.stop()
  console.info(history.summary())
  // The node accepted puts until its lease lapsed; these puts are lost with it.
  const lossesMs = [cutMs + NODE_LEASE_MS]
  expect(judge({ calls: history.calls, lossesMs }, { mayFail: true })).toEqual([])
  expect(history.count('OBJECT_LOST')).toBeGreaterThan(0)
  expect((await traffic.checkAll()).calls.filter(({ code }) => code !== 'ok')).toEqual([])
})

/** A key whose slot the node owns. */
function keyOn(node: string, placement: Placement): Buffer {
  for (let number = 0; ; number++) {
    const key = Buffer.from(`on/${number}`)
    const slot = slotOf(hashKey(key, DEFAULT_BUCKET_ID), placement.owners.length)
    if (ownerOf(placement, slot)?.id === node) return key
  }
}
