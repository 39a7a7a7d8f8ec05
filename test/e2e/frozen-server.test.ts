import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { Job } from '../../client/job.ts'
import { placementOperations } from '../../protocol/operations/plane-operations.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { dialTcp } from '../../protocol/transport/tcp.ts'
import { PlaneProcesses } from '../fixture/plane-processes.ts'
import { startSwallowingProxy } from '../fixture/swallowing-proxy.ts'

test('I20: a node that stands still for seconds and goes on has not lost its connection, nor the calls over it', async () => {
  const planes = await PlaneProcesses.start()
  const metadata = await planes.startMetadata()
  const node = await planes.startNode('n-1')
  const share = { node: node.id, address: node.address, weight: 1 }
  const shares = [{ ...share, ramBytes: 2 ** 26, ssdBytes: 0, s3Bytes: 0, bytesPerSecond: 1e6 }]
  const request = { job: 'j-1', slots: 16, readsPerThousand: null, shares }
  const placement = await planes.ask(metadata, placementOperations.jobCreate, { request })
  const proxy = await startSwallowingProxy(node.port)
  const job = new Job(planes.ticket('j-1', placement), {
    runtime: systemRuntime,
    dial: (address) => dialTcp(address === node.address ? `127.0.0.1:${proxy.port}` : address),
  })
  onTestFinished(() => job.close())
  await job.append('log', 'a')
  const waiting = job.get('late', { consume: true, waitSeconds: 60 })
  node.child.kill('SIGSTOP')
  const calls = [job.append('log', 'b'), job.get('log').then(String)]
  await sleep(4_000)
  node.child.kill('SIGCONT')
  expect(await Promise.all(calls)).toEqual([2, 'ab'])
  await job.put('late', 'here')
  expect((await waiting).toString()).toBe('here')
  await sleep(500)
  expect(proxy.opened).toBeGreaterThan(1)
  expect(proxy.open).toEqual([0])
})
