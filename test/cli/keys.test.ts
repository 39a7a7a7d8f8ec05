import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { readConfig } from '../../cli/config.ts'
import { runCommand } from '../../cli/run.ts'
import { type Cluster, sharedCluster } from '../fixture/mayfly-up.ts'

const shared = sharedCluster()
let cluster: Cluster

beforeAll(async () => {
  cluster = await shared()
})

/** Runs a command line with a key; the first one of the cluster if none is said. */
async function call(args: readonly string[], key = cluster.apiKey) {
  const out: string[] = []
  const err: string[] = []
  const config = readConfig({ HOME: cluster.dir, MAYFLY_URL: cluster.url, MAYFLY_API_KEY: key })
  const code = await runCommand(args, config, {
    print: (line) => void out.push(line),
    printError: (line) => void err.push(line),
  })
  return { code, out: out.join('\n'), err: err.join('\n') }
}

/** The columns of a key in the table of `mayfly keys`; null if it is not there. */
async function rowOf(name: string): Promise<string[] | null> {
  const { code, out } = await call(['keys'])
  expect(code).toBe(0)
  const [heading = '', ...rows] = out.split('\n')
  expect(heading.trim().split(/\s+/)).toEqual(['NAME', 'ROLE', 'SOURCE', 'CREATED', 'ROTATED'])
  return rows.map((row) => row.trim().split(/\s+/)).find(([first]) => first === name) ?? null
}

const key = /^[\w-]{43}$/
const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT/)

test('a key is made, listed, rotated and revoked; it is printed alone and once, and works until it is revoked', async () => {
  onTestFinished(async () => void (await call(['keys', 'revoke', 'dashboard'])))
  expect(await rowOf('default')).toEqual(['default', 'admin', 'config'])
  expect(await rowOf('dashboard')).toBeNull()

  const made = await call(['keys', 'make', 'dashboard', '--role', 'viewer'])
  expect(made).toEqual({ code: 0, out: expect.stringMatching(key), err: '' })
  expect(await rowOf('dashboard')).toEqual(['dashboard', 'viewer', 'api', time])
  expect((await call(['jobs'], made.out)).code).toBe(0)
  expect((await call(['keys'], made.out)).err).toContain('has the role viewer, and this takes admin')
  expect((await call(['keys', 'make', 'dashboard'])).err).toContain('dashboard')

  const rotated = await call(['keys', 'rotate', 'dashboard', '--grace', '10m'])
  expect(rotated).toEqual({ code: 0, out: expect.stringMatching(key), err: '' })
  expect(rotated.out).not.toBe(made.out)
  expect(await rowOf('dashboard')).toEqual(['dashboard', 'viewer', 'api', time, time])
  for (const each of [made, rotated]) expect((await call(['jobs'], each.out)).code).toBe(0)
  const again = await call(['keys', 'rotate', 'dashboard'])
  for (const each of [made, rotated])
    expect((await call(['jobs'], each.out)).err).toContain(
      'The API key is missing or not one of this cluster',
    )
  expect((await call(['jobs'], again.out)).code).toBe(0)

  for (const args of [['keys'], ['keys', '--json']])
    for (const each of [made, rotated, again]) expect((await call(args)).out).not.toContain(each.out)

  expect(await call(['keys', 'revoke', 'dashboard'])).toEqual({
    code: 0,
    out: 'dashboard is revoked',
    err: '',
  })
  expect((await call(['jobs'], again.out)).err).toContain('The API key is missing or not one of this cluster')
  expect(await rowOf('dashboard')).toBeNull()
  expect((await call(['keys', 'revoke', 'dashboard'])).code).toBe(3)
})
