import { chmod, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { findMinio, type S3Target } from '../../bench/servers/minio.ts'
import { needPeer, startPeer } from '../fixture/peers.ts'
import { tempDir } from '../fixture/temp-dir.ts'

afterEach(() => void vi.unstubAllEnvs())

test('a Redis of its own is started on loopback and is gone once it was stopped', async (context) => {
  const server = await startPeer('redis', context)
  const [host, port] = server.target.split(':')
  const [pid = 0] = await server.pids()
  expect(host).toBe('127.0.0.1')
  expect(process.kill(pid, 0)).toBe(true)
  await server.stop()
  expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  const refused = new Promise((resolve) => connect(Number(port), host).once('error', resolve))
  expect(await refused).toMatchObject({ code: 'ECONNREFUSED' })
})

test('a MinIO of its own is started and refuses whoever has no key', async (context) => {
  const server = await startPeer('minio', context)
  const { endpoint } = JSON.parse(server.target) as S3Target
  expect((await fetch(endpoint)).status).toBe(403)
})

test('MAYFLY_MINIO goes before the PATH, the PATH before the cache, and nothing is found where nothing is', async () => {
  const dir = await tempDir()
  const minio = join(dir, 'minio')
  const elsewhere = { PATH: '/nowhere', XDG_CACHE_HOME: '/nowhere' }
  expect(findMinio(elsewhere)).toBeNull()
  await writeFile(minio, '#!/bin/sh\n')
  expect(findMinio({ ...elsewhere, PATH: dir }), 'a file that cannot be executed').toBeNull()
  await chmod(minio, 0o755)
  expect(findMinio({ ...elsewhere, PATH: dir })).toBe(minio)
  expect(findMinio({ PATH: dir, MAYFLY_MINIO: process.execPath })).toBe(process.execPath)
  expect(() => findMinio({ PATH: dir, MAYFLY_MINIO: '/nowhere/minio' })).toThrow('/nowhere/minio')
})

test('a peer that is missing skips a test with its reason on a machine of a user, and fails it in CI', () => {
  const notes: string[] = []
  const skip = (note: string): never => {
    notes.push(note)
    return undefined as never
  }
  vi.stubEnv('PATH', '/nowhere')
  vi.stubEnv('CI', '')
  needPeer('redis', { skip })
  expect(notes).toEqual([expect.stringContaining('apt-get install redis-server')])
  vi.stubEnv('CI', 'true')
  expect(() => needPeer('redis', { skip })).toThrow('Redis is missing')
})
