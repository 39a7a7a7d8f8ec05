import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { type OwnCertificates, ownCertificatesAt, prepareCertificates } from '../../service/network/own-ca.ts'
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
 * keys. With `tls` it speaks TLS 1.3 alone, and the target has the file of the CA behind a space.
 */
export async function startRedis({
  evictsAt,
  tls = false,
}: {
  evictsAt?: number
  tls?: boolean
} = {}): Promise<Server> {
  const file = findRedis()
  if (file === null) throw new Error(redisMissing)
  const dir = tls ? await mkdtemp(join(tmpdir(), 'mayfly-bench-tls-')) : null
  const files = dir === null ? null : ownCertificatesAt(dir)
  if (files !== null) await prepareCertificates(files, { hosts: ['127.0.0.1'], nowMs: Date.now() })
  const server = await startProgram({
    file,
    args: ({ port, dir }) => [
      ...portOf(port, files),
      ...['--bind', '127.0.0.1', '--dir', dir],
      ...['--save', '', '--appendonly', 'no'],
      ...(evictsAt === undefined
        ? []
        : ['--maxmemory', String(evictsAt), '--maxmemory-policy', 'allkeys-lru']),
    ],
    isReady: (port) => answersPing(port, files),
  })
  if (dir === null || files === null) return server
  return {
    ...server,
    target: `${server.target} ${files.caFile}`,
    stop: async () => {
      await server.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

function portOf(port: number, files: OwnCertificates | null): string[] {
  if (files === null) return ['--port', String(port)]
  const { certFile, keyFile, caFile } = files
  return [
    ...['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no', '--tls-protocols', 'TLSv1.3'],
    ...['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', caFile],
  ]
}

async function answersPing(port: number, files: OwnCertificates | null): Promise<boolean> {
  const host = '127.0.0.1'
  const socket =
    files === null ? connect({ port, host }) : connectTls({ port, host, rejectUnauthorized: false })
  try {
    await once(socket, files === null ? 'connect' : 'secureConnect')
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
