import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { needPeer } from '../../fixture/peers.ts'
import { tempDir } from '../../fixture/temp-dir.ts'
import { apiKey, smallClass, World } from '../support/world.ts'

/** `SEED=7 EXAMPLES=500 npx vitest run test/controller/api/schemathesis.test.ts` sends other requests. */
const { SEED, EXAMPLES = '10' } = process.env
const SECONDS_MAX = 120

const config = new URL('../support/schemathesis.toml', import.meta.url).pathname
/** Capacity for any hints, so that no registration waits. */
const vast = { ...smallClass, ramBytes: 2 ** 52, bytesPerSecond: 2 ** 52 }

/** Runs the program until it exits, with any exit code. Rejects if it did not start, or was killed after `SECONDS_MAX`. */
function run(file: string, args: readonly string[], cwd: string): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    execFile(
      file,
      args,
      { cwd, env: { ...process.env, API_KEY: apiKey }, timeout: SECONDS_MAX * 1000, maxBuffer: 2 ** 24 },
      (error, stdout, stderr) => {
        if (error === null) resolve({ code: 0, output: `${stdout}${stderr}` })
        else if (typeof error.code === 'number') resolve({ code: error.code, output: `${stdout}${stderr}` })
        else reject(error)
      },
    )
  })
}

test(
  'Schemathesis finds no route that answers in another way than the document says',
  async (context) => {
    const python = needPeer('schemathesis', context)
    const world = await World.start({ warmNodes: 1, classes: [vast] })
    const dir = await tempDir()
    const document = join(dir, 'openapi.json')
    const { text, body } = await world.ask('/openapi.json')
    await writeFile(document, text)
    const routes = Object.values(body.paths as Record<string, object>).flatMap((methods) =>
      Object.keys(methods),
    ).length
    const { code, output } = await run(
      python,
      [
        ...['-m', 'schemathesis.cli', '--config-file', config, 'run'],
        document,
        ...['--url', world.url],
        // Without a given seed each run makes the same requests.
        ...(SEED === undefined ? ['--generation-deterministic'] : ['--seed', SEED]),
        ...['--max-examples', EXAMPLES],
        ...['--continue-on-failure', '--no-color', '--warnings', 'off'],
      ],
      dir,
    )
    expect(code, output).toBe(0)
    // All routes except the event stream, which does not end.
    expect(Number(/Tested: (\d+)\n/.exec(output)?.[1])).toBe(routes - 1)
  },
  (SECONDS_MAX + 30) * 1000,
)
