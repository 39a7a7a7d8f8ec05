import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { programs } from '../../up/programs.ts'
import { type AddVerb, addVerb, jsonOption, onRun } from '../../verb.ts'

const program = new URL('bench/main.js', programs)

interface Flags {
  readonly only?: string
  readonly results?: string
  readonly tiny?: boolean
  readonly json?: boolean
}

export const bench: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'bench', {
    summary: 'measure a cluster of its own side by side with Redis and MinIO',
    details:
      'Without a suite it runs all that compare; `mayfly bench nonsense` lists every suite. A peer that is missing is named and left out.',
    examples: ['mayfly bench ops wait', 'mayfly bench ops --only "1 KiB" --results ./results'],
  })
    .argument('[suites...]', 'names of suites')
    .option('--only <text>', 'only rows that contain this text')
    .option(
      '--results <folder>',
      'where the reports are written (default: bench/results in a clone, else bench-results)',
    )
    .option('--tiny', 'tiny inputs, to see that it runs')
  jsonOption(verb, 'a line of JSON for each suite')
  onRun<Flags>(verb, cli, async (suites, { only, results, tiny, json }) => {
    const args = [
      ...suites,
      ...(only === undefined ? [] : ['--only', only]),
      ...(results === undefined ? [] : ['--results', results]),
      ...(tiny === true ? ['--tiny'] : []),
      ...(json === true ? ['--json'] : []),
    ]
    const child = spawn(process.execPath, [fileURLToPath(program), ...args], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: cli.config.environment,
    })
    // Ctrl-C reaches the child as well; this process waits until the child has stopped its servers.
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => child.kill('SIGTERM'))
    const [code] = await once(child, 'exit')
    return code ?? 1
  })
}
