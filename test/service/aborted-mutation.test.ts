import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { Caller } from '../../protocol/transport/caller.ts'
import { SessionTrail } from '../../protocol/transport/session-trail.ts'
import { dialTcp } from '../../protocol/transport/tcp.ts'
import { clusterToken } from '../../service/process/cluster-token.ts'
import { Handlers, type Reply } from '../../service/server/handlers.ts'
import { startWireServer } from '../fixture/wire-server.ts'

const secret = Buffer.alloc(32, 1)
const remove = dataOperations.delete

/** A server whose deletes run until `finish` is called, or wait and can be cancelled. */
async function startOne(how: 'works' | 'waits') {
  let finish: () => void = () => undefined
  const handlers = new Handlers().on(remove, (peer, _request, { id }) => {
    return new Promise<Reply<{ existed: boolean }>>((resolve, reject) => {
      finish = () => resolve({ head: { existed: true } })
      if (how === 'waits') peer.whenGone(id, reject)
    })
  })
  const { address } = await startWireServer({ secret, handlers })
  const caller = new Caller(await dialTcp(address), {
    runtime: systemRuntime,
    token: clusterToken(secret, Date.now()),
    trail: new SessionTrail(),
    deadlineMs: performance.now() + 5_000,
  })
  onTestFinished(() => caller.close())
  await caller.server
  const controller = new AbortController()
  const request = { epoch: 1, bucket: 0, key: Buffer.from('k'), lane: 0, sequence: 1 }
  const bounds = { deadlineMs: performance.now() + 10_000, signal: controller.signal, mutates: true }
  const outcome = caller.call(remove, request, bounds).then(
    ({ head }) => head,
    ({ code }: { code: string }) => code,
  )
  await sleep(50)
  return { controller, outcome, finish: () => finish() }
}

test('an aborted mutation that waits is aborted: the server says that nothing was done', async () => {
  const { controller, outcome } = await startOne('waits')
  controller.abort()
  expect(await outcome).toBe('ABORTED')
})

test('an aborted mutation that the server is at has an unknown outcome', async () => {
  const { controller, outcome, finish } = await startOne('works')
  controller.abort()
  expect(await outcome).toBe('OUTCOME_UNKNOWN')
  finish()
})

test('an abort that comes when the answer is on its way changes nothing', async () => {
  const { controller, outcome, finish } = await startOne('works')
  finish()
  controller.abort()
  expect(await outcome).toEqual({ existed: true })
})
