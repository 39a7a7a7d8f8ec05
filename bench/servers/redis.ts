import { once } from 'node:events'
import { connect } from 'node:net'
import { findOnPath } from './path.ts'
import { type Server, startProgram } from './server.ts'

/** Path of `redis-server` or of Valkey, which has the same protocol; null if neither is installed. */
export function findRedis(): string | null {
  return findOnPath('redis-server') ?? findOnPath('valkey-server')
}

export const redisMissing =
  'Redis is missing: redis-server is not on the PATH (Debian: apt-get install redis-server)'

/**
 * A Redis without persistence, as it is configured for short-lived data; its target is `host:port`. Above `evictsAt` bytes it evicts the least recently used
 * keys.
 */
export async function startRedis({ evictsAt }: { evictsAt?: number } = {}): Promise<Server> {
  const file = findRedis()
  if (file === null) throw new Error(redisMissing)
  return await startProgram({
    file,
    args: ({ port, dir }) => [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', dir],
      ...['--save', '', '--appendonly', 'no'],
      ...(evictsAt === undefined
        ? []
        : ['--maxmemory', String(evictsAt), '--maxmemory-policy', 'allkeys-lru']),
    ],
    isReady: answersPing,
  })
}

async function answersPing(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    socket.write('PING\r\n')
    const [answer] = await once(socket, 'data')
    return String(answer).startsWith('+PONG')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return false
    throw error
  } finally {
    socket.destroy()
  }
}
