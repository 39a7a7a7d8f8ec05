import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type LoneProcess, LoneProcesses } from '../fixture/lone-processes.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const CONTINUES = 'an unhandled error; the process continues'
const preload = new URL('../fixture/escaping.mjs', import.meta.url).href

interface Line {
  readonly level: number
  readonly msg?: string
  readonly err?: { readonly message: string; readonly stack: string }
}

async function prepare() {
  const processes = await LoneProcesses.prepare()
  const file = join(await tempDir(), 'escapes')
  const env = { NODE_OPTIONS: `--import=${preload}`, ESCAPES_FILE: file }
  /** Lets an error of this kind happen in a process. */
  const happen = async ({ child }: LoneProcess, kind: string): Promise<void> => {
    await writeFile(file, kind)
    child.kill('SIGUSR2')
  }
  return { processes, env, file, happen }
}

const linesOf = ({ log }: LoneProcess): Line[] =>
  log()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)

const has = (text: string) => expect.stringContaining(text)

/** Kinds of errors that concern no data of the process, and what its log says of each. */
const harmless = {
  'a rejection with a bug': 'escaped: x is not a function',
  'a rejection with nothing': undefined,
  'an exception in a timer': 'escaped: of a timer',
  'an event of an error without a listener': 'escaped: ECONNRESET',
  'a rejection with an INTERNAL': 'escaped: of a peer',
}

test('I21: an error that nothing handles is a line in the log of a process that serves, which goes on with all that it has', async () => {
  const { processes, env, happen } = await prepare()
  const controller = await processes.controller(env)
  const metadata = await processes.metadata('m-1', env)
  const node = await processes.node(env)
  const mayfly = await processes.connect()
  const job = await mayfly.registerJob('j', { capacityBytes: 2 ** 26 }, { waitSeconds: 20 })
  await job.put('before', 'value')
  for (const each of [controller, metadata, node]) {
    for (const [kind, message] of Object.entries(harmless)) {
      const before = linesOf(each).length
      await happen(each, kind)
      const escaped = () =>
        linesOf(each)
          .slice(before)
          .filter(({ msg }) => msg === CONTINUES)
      await expect.poll(escaped).toHaveLength(1)
      const [line] = escaped()
      expect(line?.level).toBe(50)
      if (message === undefined) expect(line?.err).toBeUndefined()
      else expect(line?.err).toMatchObject({ message: has(message), stack: has(message) })
    }
    expect([each.child.exitCode, each.child.signalCode]).toEqual([null, null])
  }
  // What each has is there: the object, the job and its placement.
  expect((await job.get('before')).toString()).toBe('value')
  await job.createBucket('after')
  await job.put('after', 'value', { bucket: 'after' })
  expect((await job.info()).state).toBe('active')
  await job.deregister()
  for (const each of [node, metadata, controller]) expect(await each.end('SIGTERM')).toBe(0)
})

test.each([
  'a rejection with an assertion',
  'an assertion in a timer',
  'a rejection with an error that an assertion caused',
])('I21: %s ends a process, with a line that says why', async (kind) => {
  const { processes, env, happen } = await prepare()
  await processes.controller()
  for (const each of [await processes.metadata('m-1', env), await processes.node(env)]) {
    await happen(each, kind)
    expect(await each.exited).toEqual([1, null])
    const err = { message: has('Assertion failed: planted') }
    expect(linesOf(each).at(-1)).toMatchObject({ level: 60, err })
  }
})

test('I21: an error that nothing handles ends a process that does not serve yet, with a line that says why', async () => {
  const { processes, env, file } = await prepare()
  await processes.controller()
  await writeFile(file, 'a rejection with a bug')
  const early = { ...env, ESCAPES_EARLY: 'yes' }
  await expect(processes.metadata('m-1', early)).rejects.toThrow('"level":60')
  // It empties a folder before it serves.
  const ssd = { MAYFLY_NODE_SSD_BYTES: String(2 ** 28), MAYFLY_NODE_SSD_DIR: join(file, '..', 'ssd') }
  await expect(processes.node({ ...early, ...ssd })).rejects.toThrow('escaped: x is not a function')
})
