import { chmod, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Command } from 'commander'
import { afterEach, expect, test } from 'vitest'
import type { CliConfig } from '../../cli/config.ts'
import { readConfig } from '../../cli/config.ts'
import { buildProgram } from '../../cli/program.ts'
import { runCommand } from '../../cli/run.ts'
import { collectHint, seconds } from '../../cli/values.ts'
import type { Cli } from '../../cli/verb.ts'
import { formatTicket } from '../../protocol/model/ticket.ts'
import { nothingMoved } from '../../protocol/operations/reports.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const nowhere: CliConfig = {
  url: undefined,
  apiKey: undefined,
  ticket: undefined,
  caFile: undefined,
  stateDir: '/nonexistent',
  configDir: '/nonexistent',
  environment: {},
}
const ticket = formatTicket({
  metadata: '127.0.0.1:1',
  job: 'j-1',
  token: Buffer.alloc(32),
  placement: { epoch: 1, nodes: [{ id: 'n', address: '127.0.0.1:1' }], owners: new Uint16Array(4) },
})
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
  const config = await answeringBy((method, url, authorization) => {
    asked.push(`${method} ${url} ${authorization}`)
    return [status, body]
  })
  return { ...config, asked }
}

async function answeringBy(
  answer: (method: string, url: string, authorization: string) => readonly [number, unknown],
): Promise<CliConfig> {
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request
    const [status, body] = answer(method, url, headers.authorization ?? '')
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    response.writeHead(status, { 'content-type': 'application/json' }).end(text)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { ...nowhere, url: `http://127.0.0.1:${port}`, apiKey: 'key' }
}

/** Every verb, also those below another. */
function allVerbs(parent: Command): Command[] {
  return parent.commands.flatMap((verb) => [verb, ...allVerbs(verb)])
}

const cli: Cli = {
  config: nowhere,
  terminal: { print: () => undefined, printError: () => undefined },
  exitCode: 0,
}
const visible = allVerbs(buildProgram(cli, '0')).filter((verb) => !verb.name().startsWith('__'))

test.each([
  [['nonsense'], "mayfly: unknown command 'nonsense'"],
  [['noeds'], '(Did you mean nodes?)'],
  [['end'], "mayfly: missing required argument 'job'"],
  [['put', 'j-1'], "mayfly: missing required argument 'key'"],
  [['jobs', 'extra'], "mayfly: too many arguments for 'jobs'"],
  [['jobs', '--jsom'], "mayfly: unknown option '--jsom'\n(Did you mean --json?)"],
  [
    ['register', 'x', '--hint', 'maxFunctions'],
    "argument 'maxFunctions' is invalid. It is not of the form NAME=VALUE",
  ],
  [['register', 'x', '--lease-seconds', '0'], "argument '0' is invalid. It is no time from 1 to"],
  [['register', 'x', '--lease-seconds', 'soon'], "argument 'soon' is invalid. It is no time"],
  [['ticket', 'j-1', '--seconds', '86401'], 'It is no time from 1 to 86400 seconds'],
  [['ticket', 'j-1', '--prefix', 'out/\ud800'], 'half of a surrogate pair'],
  [['ticket', 'j-1', '--prefix', 'out/\ufffd'], 'not UTF-8'],
  [['ticket', 'j-1', '--prefix', 'out/\0'], 'NUL'],
  [['up', '--port', '65536'], "argument '65536' is invalid. It is no whole number from 0 to 65535"],
  [['up', '--port'], "option '--port <port>' argument missing"],
  [['ls', 'j-1', '--dir', ''], "option '--dir <folder>' argument '' is invalid. It is empty."],
  [['keys', 'mke', 'x'], "mayfly: unknown command 'mke'; there are list, make, rotate, revoke"],
  [['resize', 'j-1'], "mayfly: required option '--hint <name=value>' not specified"],
  [['put', 'j-1', 'k', '--recursive'], "missing required argument 'file': the folder to store"],
  [['get', 'j-1', 'k', 'd', '--recursive', '--consume'], '--recursive goes with neither'],
  [['kept', 'get', 'k'], 'It is not of the form JOB/BUCKET/KEY.'],
  [['completion', 'tcsh'], 'Allowed choices are bash, zsh, fish.'],
])(
  '%j is misuse: the message names the mistake, the usage follows, and the exit code is 2',
  async (args, message) => {
    const config = await answering(200, JSON.stringify({ id: 'j-1', state: 'active', ticket }))
    const { code, out, err } = await run(args, config)
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain(message)
    expect(err).toMatch(/\n(usage: mayfly |`mayfly help` lists the verbs)/)
  },
)

test('the help names every verb, and each verb explains itself with two examples', async () => {
  const { code, out } = await run(['help'])
  expect(code).toBe(0)
  expect(out).toContain('Exit codes: 0 done; 1 failed; 2')
  for (const verb of visible.filter((each) => each.name() !== 'help')) {
    const path = verb.parent?.name() === 'mayfly' ? [verb.name()] : [verb.parent?.name() ?? '', verb.name()]
    const help = await run([...path, '--help'])
    expect(help.code).toBe(0)
    expect(help.out).toContain(`Usage: mayfly ${path.join(' ')}`)
    const examples = help.out.split('Examples:\n')[1]?.split('\n\n')[0]?.split('\n') ?? []
    expect(examples.filter((line) => line.includes('mayfly ')).length, path.join(' ')).toBeGreaterThanOrEqual(
      2,
    )
    for (const { long, description } of verb.options) expect([long, description]).not.toEqual([long, ''])
    for (const argument of verb.registeredArguments) expect(argument.description, path.join(' ')).not.toBe('')
    if (path.length === 1) expect(out).toMatch(new RegExp(`^  ${verb.name()} `, 'm'))
  }
})

test('the examples of the help are command lines that parse', async () => {
  for (const verb of visible) {
    const lines: string[] = []
    verb.configureOutput({ writeOut: (text) => void lines.push(text) }).outputHelp()
    for (const [, line = ''] of lines
      .join('')
      .matchAll(/^ {2}(?:.*\$\(|source <\(|echo hello \| )?mayfly ([^|><#)\n]*)/gm)) {
      const parsed = parseOnly(line.match(/"[^"]*"|\S+/g)?.map((word) => word.replaceAll('"', '')) ?? [])
      expect([line, parsed]).toEqual([line, 'parsed'])
    }
  }
})

/** Whether a command line is right, without running it. */
function parseOnly(args: string[]): string {
  const program = buildProgram(cli, '0')
  for (const verb of allVerbs(program)) verb.action(() => undefined)
  try {
    program.configureOutput({ writeErr: () => undefined }).parse(args, { from: 'user' })
    return 'parsed'
  } catch (error) {
    return String(error)
  }
}

test('without a verb the help goes to standard error and the exit code is 2', async () => {
  expect(await run([])).toEqual({ code: 2, out: '', err: (await run(['help'])).out })
})

test('with MAYFLY_TICKET a verb about objects takes no JOB, and says so', async () => {
  const config = { ...nowhere, ticket }
  expect((await run(['put', '--help'], config)).out).toContain('Usage: mayfly put [options] <key> [file]')
  const { code, err } = await run(['put', 'wordcount', 'key', 'file'], config)
  expect(code).toBe(2)
  expect(err).toContain('MAYFLY_TICKET is set: it names the job, and JOB is left out')
})

test('a job is found by its name where no job has it as an id', async () => {
  const job = { id: 'j-9', name: 'sort' }
  const asked: string[] = []
  const config = await answeringBy((method, path) => {
    asked.push(`${method} ${path}`)
    if (path.startsWith('/v1/jobs?name=sort')) return [200, { jobs: [job] }]
    if (path === '/v1/jobs/j-9') return [200, job]
    return [
      404,
      { error: { code: 'JOB_NOT_FOUND', message: 'There is no job. Look for the id with `mayfly jobs`.' } },
    ]
  })
  expect(await run(['end', 'sort'], config)).toEqual({ code: 0, out: 'j-9 has ended', err: '' })
  expect(asked).toEqual(['DELETE /v1/jobs/sort', 'GET /v1/jobs?name=sort', 'DELETE /v1/jobs/j-9'])
})

test('a cluster that is named by two of its ways is that of --context, --dir, the environment, the context in use', async () => {
  const config = { ...nowhere, configDir: await tempDir() }
  const state = await tempDir()
  await writeFile(
    join(state, 'credentials.json'),
    JSON.stringify({ url: 'http://127.0.0.1:2', apiKey: 'k' }),
    { mode: 0o600 },
  )
  const asks = async (args: string[], of: CliConfig) =>
    /http:\S+?:\d+/.exec((await run(['jobs', ...args], of)).err)?.[0]
  const given = { ...config, url: 'http://127.0.0.1:3', apiKey: 'k' }
  expect((await run(['context', 'add', 'a', '--url', 'http://127.0.0.1:4'], given)).out).toContain('in use')
  expect((await run(['context', 'add', 'b', '--dir', state], config)).out).toBe('b is http://127.0.0.1:2')
  expect(await asks(['--context', 'b'], given)).toBe('http://127.0.0.1:2')
  expect(await asks(['--dir', state], given)).toBe('http://127.0.0.1:2')
  expect(await asks([], given)).toBe('http://127.0.0.1:3')
  expect(await asks([], config)).toBe('http://127.0.0.1:4')
  expect((await stat(join(config.configDir, 'contexts.json'))).mode & 0o777).toBe(0o600)
  expect((await run(['context', 'list', '--json'], config)).out).not.toContain('apiKey')
  expect((await run(['context', 'use', 'b'], config)).code).toBe(0)
  expect((await run(['context'], config)).out).toContain('*  b     http://127.0.0.1:2')
  expect((await run(['context', 'use', 'c'], config)).err).toContain(
    "there is no context 'c'; there are a, b",
  )
  expect((await run(['context', 'remove', 'b'], config)).out).toContain('no context is in use now')
  await chmod(join(config.configDir, 'contexts.json'), 0o644)
  expect((await run(['context'], config)).err).toContain('contexts.json')
})

test('a cluster that never ran is one clear line and exit code 1', async () => {
  const { code, err } = await run(['jobs'])
  expect(code).toBe(1)
  expect(err).toBe(
    'mayfly: no cluster has run here (/nonexistent/credentials.json is missing); start one with `mayfly up`, or name one with `mayfly context add`',
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
  expect(await run(['end', 'j-1'], config)).toEqual({ code: 3, out: '', err: `mayfly: ${message}` })
  expect(config.asked[0]).toBe('DELETE /v1/jobs/j-1 Bearer key')
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

test('hints become what JSON has for them, and bytes may have a unit', () => {
  const hints = [
    'latencySensitive=false',
    'capacityBytes=1.5GiB',
    'peakBytesPerSecond=5MB',
    'maxFunctions=8',
    'x=a=b',
  ]
  expect(hints.reduce((all, hint) => collectHint(hint, all), {})).toEqual({
    latencySensitive: false,
    capacityBytes: 1_610_612_736,
    peakBytesPerSecond: 5_000_000,
    maxFunctions: 8,
    x: 'a=b',
  })
})

test('times are seconds, or have a unit', () => {
  expect(['90', '90s', '10m', '2h', '7d'].map(seconds(0, 1e6))).toEqual([90, 90, 600, 7200, 604_800])
  for (const wrong of ['', '-1', '1.5', '1w', 'm', '12d'])
    expect(() => seconds(0, 1e6)(wrong)).toThrow('It is no time')
})

test('state lies in the XDG state folder, which must be absolute, or below the home', () => {
  expect(readConfig({ XDG_STATE_HOME: '/s', HOME: '/h' }).stateDir).toBe('/s/mayfly')
  expect(readConfig({ XDG_STATE_HOME: 's', HOME: '/h' }).stateDir).toBe('/h/.local/state/mayfly')
  expect(readConfig({ HOME: '/h', MAYFLY_URL: '' }).url).toBeUndefined()
})

test('status shows what each job has and moved by tier, also as JSON', async () => {
  const total = { used: 1, reserved: 2, free: 3, capacity: 4, limit: 5 }
  const none = { objects: 0, ...nothingMoved }
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
