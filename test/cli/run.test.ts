import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import type { CliConfig } from '../../cli/config.ts'
import { readConfig } from '../../cli/config.ts'
import { runCommand } from '../../cli/run.ts'
import { parseHints } from '../../cli/verbs/register.ts'
import { verbs } from '../../cli/verbs.ts'

const nowhere: CliConfig = { url: undefined, apiKey: undefined, stateDir: '/nonexistent', environment: {} }
const servers: ReturnType<typeof createServer>[] = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

async function run(args: string[], config = nowhere) {
  const out: string[] = []
  const err: string[] = []
  const code = await runCommand(args, config, {
    print: (text) => out.push(text),
    printError: (text) => err.push(text),
  })
  return { code, out: out.join('\n'), err: err.join('\n') }
}

/** A controller that answers every request with the same reply. */
async function answering(status: number, body: string): Promise<CliConfig & { asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization}`)
    response.writeHead(status, { 'content-type': 'application/json' }).end(body)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { ...nowhere, url: `http://127.0.0.1:${port}`, apiKey: 'key', asked }
}

test.each([
  [['nonsense'], "mayfly: there is no verb 'nonsense'; mayfly help lists them"],
  [['end'], 'mayfly: JOB is missing'],
  [['put', 'j-1'], 'mayfly: KEY is missing'],
  [['jobs', 'extra'], "mayfly: 'extra' is one word too many"],
  [['jobs', '--jsom'], "mayfly: Unknown option '--jsom'"],
  [
    ['register', 'x', '--hint', 'maxFunctions'],
    "mayfly: --hint is 'maxFunctions', not of the form name=value",
  ],
  [['register', 'x', '--lease-seconds', '0'], "mayfly: --lease-seconds is '0', not a whole number from 1"],
  [['register', 'x', '--lease-seconds', 'soon'], "mayfly: --lease-seconds is 'soon', not a whole number"],
  [['ticket', 'j-1', '--seconds', '86401'], "--seconds is '86401', not a whole number from 1 to 86400"],
  [['up', '--port', '65536'], "mayfly: --port is '65536', not a whole number from 0 to 65535"],
  [['up', '--port'], "mayfly: Option '--port <value>' argument missing"],
  [['ls', 'j-1', '--dir', ''], 'mayfly: --dir is empty'],
  [['up', '--json=yes'], "mayfly: Option '--json' does not take an argument"],
])('%j is misuse: one line names the mistake, and the exit code is 2', async (args, line) => {
  const { code, out, err } = await run(args)
  expect(code).toBe(2)
  expect(out).toBe('')
  expect(err.split('\n')[0]).toContain(line)
  if (verbs.has(args[0] ?? '')) expect(err.split('\n')[1]).toMatch(/^usage: mayfly /)
  expect(err.split('\n').length).toBeLessThanOrEqual(2)
})

test('help names every verb, and each verb explains itself', async () => {
  const { code, out } = await run(['help'])
  expect(code).toBe(0)
  for (const [name, { usage }] of verbs) {
    expect(out).toContain(`mayfly ${usage}`)
    expect((await run([name, '--help'])).out).toBe(`usage: mayfly ${usage}`)
  }
})

test('without a verb the help is shown and the exit code is 2', async () => {
  expect(await run([])).toMatchObject({ code: 2, out: (await run(['help'])).out })
})

test('a cluster that never ran is one clear line and exit code 1', async () => {
  const { code, err } = await run(['jobs'])
  expect(code).toBe(1)
  expect(err).toBe(
    'mayfly: no cluster has run here (/nonexistent/credentials.json is missing); start one with `mayfly up`',
  )
})

test('a cluster that does not answer is one clear line and exit code 1', async () => {
  const { code, err } = await run(['jobs'], { ...nowhere, url: 'http://127.0.0.1:1', apiKey: 'key' })
  expect(code).toBe(1)
  expect(err).toContain('mayfly: No cluster answers at http://127.0.0.1:1; start one with `mayfly up`')
})

test('one of the two variables alone is refused, naming the other', async () => {
  const { code, err } = await run(['jobs'], { ...nowhere, url: 'http://127.0.0.1:1' })
  expect(code).toBe(1)
  expect(err).toContain('MAYFLY_API_KEY is not set')
})

test("the controller's error is shown as it is, once", async () => {
  const message = "There is no job 'j-1'. Look for the id with `mayfly jobs`."
  const config = await answering(404, JSON.stringify({ error: { code: 'JOB_NOT_FOUND', message } }))
  expect(await run(['end', 'j-1'], config)).toEqual({ code: 1, out: '', err: `mayfly: ${message}` })
  expect(config.asked).toEqual(['DELETE /v1/jobs/j-1 Bearer key'])
})

test('an answer that is none of Mayfly is an error, not a crash', async () => {
  const { code, err } = await run(['status'], await answering(502, '<html>'))
  expect(code).toBe(1)
  expect(err).toContain('HTTP status 502')
})

test('a job id cannot leave its place in the path', async () => {
  const config = await answering(404, '{}')
  await run(['end', '../../v1/nodes'], config)
  expect(config.asked[0]).toContain('DELETE /v1/jobs/..%2F..%2Fv1%2Fnodes ')
})

test('jobs are a table, with what others chose made harmless', async () => {
  const job = {
    id: 'j-1',
    name: 'sort\u001b[2J',
    state: 'active',
    reservation: { bytes: { ram: 3 * 2 ** 20, ssd: 0, s3: 0 }, bytesPerSecond: 1, nodes: [] },
    usage: { objects: 12, bytes: { ram: 2048, ssd: 0, s3: 0 }, bytesPerSecond: 0 },
  }
  const config = await answering(200, JSON.stringify({ jobs: [job] }))
  expect((await run(['jobs'], config)).out.split('\n')).toEqual([
    'JOB  NAME         STATE   RESERVED     USED  OBJECTS  BYTES/S',
    'j-1  sort\\x1b[2J  active   3.0 MiB  2.0 KiB       12      0 B',
  ])
  expect(JSON.parse((await run(['jobs', '--json'], config)).out)).toEqual([job])
})

test('hints become what JSON has for them', () => {
  expect(parseHints(['latencySensitive=false', 'capacityBytes=1e6', 'maxFunctions=8', 'x=a=b'])).toEqual({
    latencySensitive: false,
    capacityBytes: 1_000_000,
    maxFunctions: 8,
    x: 'a=b',
  })
})

test('state lies in the XDG state folder, which must be absolute, or below the home', () => {
  expect(readConfig({ XDG_STATE_HOME: '/s', HOME: '/h' }).stateDir).toBe('/s/mayfly')
  expect(readConfig({ XDG_STATE_HOME: 's', HOME: '/h' }).stateDir).toBe('/h/.local/state/mayfly')
  expect(readConfig({ HOME: '/h', MAYFLY_URL: '' }).url).toBeUndefined()
})

test('status shows what each job has and moved by tier, also as JSON', async () => {
  const total = { used: 1, reserved: 2, free: 3, capacity: 4, limit: 5 }
  const unmoved = {
    demotedObjects: 0,
    demotedBytes: 0,
    promotedObjects: 0,
    promotedBytes: 0,
    droppedMoves: 0,
  }
  const none = { objects: 0, hits: 0, ...unmoved }
  const usage = {
    objects: 9,
    bytes: { ram: 1024, ssd: 4096, s3: 0 },
    bytesPerSecond: 0,
    tiers: {
      ram: { ...none, objects: 6, hits: 70, demotedObjects: 3, demotedBytes: 4096, droppedMoves: 2 },
      ssd: { ...none, objects: 3, hits: 8 },
      s3: none,
    },
  }
  const reply = {
    totals: { bytes: { ram: total, ssd: total }, bytesPerSecond: total },
    metadata: [],
    nodes: {},
    jobs: [{ id: 'j-1', name: 'shuffle', usage }],
  }
  const config = await answering(200, JSON.stringify(reply))
  const { code, out } = await run(['status'], config)
  expect(code).toBe(0)
  const rows = out.split('\n').map((line) => line.trim().split(/ {2,}/))
  expect(rows).toContainEqual(['j-1', 'shuffle', 'ram', '1.0 KiB', '6', '70', '3 (4.0 KiB)', '0 (0 B)', '2'])
  expect(rows).toContainEqual(['j-1', 'shuffle', 'ssd', '4.0 KiB', '3', '8', '0 (0 B)', '0 (0 B)', '0'])
  expect(out).not.toContain('s3')
  const json = await run(['status', '--json'], config)
  expect(JSON.parse(json.out)).toMatchObject({ usage: [{ job: 'j-1', name: 'shuffle', ...usage }] })
})
