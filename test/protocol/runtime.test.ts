import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { systemRuntime, within } from '../../protocol/runtime.ts'
import { VirtualClock } from '../controller/support/virtual-clock.ts'

test('a timer that a suspension made late runs after the input that had arrived, however little late it is', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [socket] = (await once(server, 'connection')) as [Socket]
  onTestFinished(() => {
    for (const each of [client, socket, server]) 'destroy' in each ? each.destroy() : each.close()
  })
  const happened: string[] = []
  socket.on('data', () => happened.push('input'))
  // Both sockets are read in the event loop, and the kernel has the byte before this step ends.
  const both = new Promise<void>((resolve) => {
    systemRuntime.clock.after(30, () => {
      happened.push('timer')
      resolve()
    })
  })
  client.write('x')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 40)
  await both
  expect(happened).toEqual(['input', 'timer'])
})

test('work that is over in time leaves no timer behind, and work that is late is answered with null', async () => {
  const clock = new VirtualClock()
  expect(await within(clock, 5_000, Promise.resolve('done'))).toBe('done')
  await expect(within(clock, 5_000, Promise.reject(new Error('failed')))).rejects.toThrow('failed')
  expect(clock.pending).toBe(0)
  const late = within(clock, 5_000, new Promise(() => undefined))
  expect(clock.pending).toBe(1)
  await clock.advance(5_000)
  expect(await late).toBeNull()
})
