import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Server } from './server.ts'

const program = fileURLToPath(new URL('limit-process.js', import.meta.url))

/** Starts the server of the ceiling; its target is `host:port`. */
export async function startLimit(): Promise<Server> {
  const child = fork(program)
  const [address] = (await once(child, 'message')) as [AddressInfo]
  return {
    target: `${address.address}:${address.port}`,
    pids: async () => [child.pid as number],
    stop: async () => {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}
