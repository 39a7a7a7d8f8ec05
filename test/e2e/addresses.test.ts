import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { startMachines } from '../fixture/machines.ts'
import { Cluster } from '../fixture/mayfly-up.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const command = new URL('../../dist/cli/main.js', import.meta.url).pathname

test('a cluster on ::1 serves, and its controller and metadata come back at their addresses', async () => {
  const cluster = await Cluster.start(['--host', '::1'])
  expect(cluster.url).toMatch(/^http:\/\/\[::1\]:\d+$/)
  const job = await (await cluster.connect()).registerJob('six')
  await job.put('key', 'value')
  const { nodes } = await cluster.api<{ nodes: { state: string; address: string }[] }>('/v1/nodes')
  for (const { address } of nodes.filter(({ state }) => state === 'active'))
    expect(address).toMatch(/^\[::1\]:\d+$/)
  await cluster.kill('controller')
  await cluster.killMetadata('m-1')
  await expect
    .poll(() => cluster.api<{ state: string }>(`/v1/jobs/${job.id}`).catch(() => null))
    .toMatchObject({ state: 'active' })
  await job.createBucket('asks-metadata')
  expect((await job.get('key')).toString()).toBe('value')
  await job.close()
  expect(await cluster.mayfly('nodes')).toContain('[::1]:')
})

test('functions on another machine reach a cluster that binds every interface and advertises one', async (context) => {
  const [server, other] = await startMachines(2, context)
  for (const [bound, advertised] of [
    ['0.0.0.0', server.address],
    ['::', server.address6],
  ] as const) {
    const up = server.spawn(
      [process.execPath, command, 'up', '--port', '0', '--dir', await tempDir(), '--json'].concat([
        '--host',
        bound,
        '--advertise',
        advertised,
        '--insecure',
      ]),
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    let said = ''
    up.stderr?.on('data', (text) => {
      said += text
    })
    const [line] = (await once(
      createInterface({ input: up.stdout as NonNullable<typeof up.stdout> }),
      'line',
    )) as [string]
    const { credentials } = JSON.parse(line) as { credentials: string }
    const { url, apiKey } = JSON.parse(await readFile(credentials, 'utf8')) as { url: string; apiKey: string }
    expect(new URL(url).hostname).toBe(advertised.includes(':') ? `[${advertised}]` : advertised)
    expect(said).toContain(`other machines can connect to ${bound}`)
    const mayfly = (...args: string[]): Promise<string> =>
      other.run([process.execPath, command, ...args], { MAYFLY_URL: url, MAYFLY_API_KEY: apiKey })
    await mayfly('register', 'far')
    await mayfly('put', 'far', 'key', command)
    expect(await mayfly('get', 'far', 'key')).toBe(await readFile(command, 'utf8'))
    expect(await mayfly('nodes')).toContain(advertised)
    up.kill('SIGTERM')
    await once(up, 'exit')
  }
})

test.each([
  [
    ['--host', '0.0.0.0', '--insecure'],
    "--host has '0.0.0.0', which stands for every interface and is no address to connect to; set --advertise",
  ],
  [['--host', '10.1.2.3'], 'Other machines could connect to 10.1.2.3'],
  [['--host', '10.1.2.3'], 'allow it with --insecure'],
  [['--host', '127.0.0.1:80'], 'It is no IP address or name, or has a port'],
])('`mayfly up %s` starts nothing and says: %s', async (flags, says) => {
  const args = [command, 'up', '--port', '0', '--dir', await tempDir(), ...flags]
  await expect(promisify(execFile)(process.execPath, args)).rejects.toMatchObject({
    stdout: '',
    stderr: expect.stringContaining(says),
  })
})
