import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { programs } from '../up/programs.ts'
import type { Verb } from '../verb.ts'

const program = new URL('bench/main.js', programs)

export const bench: Verb = {
  usage: 'bench [SUITE...] [--only TEXT] [--tiny] [--results DIR] [--json]',
  summary: 'measure a cluster of its own side by side with Redis and MinIO',
  shape: {
    options: { only: 'text', results: 'text', tiny: 'flag', json: 'flag' },
    required: [],
    optional: ['SUITE'],
    repeats: true,
  },
  async run({ args, config }) {
    const texts = ['only', 'results'].flatMap((name) => {
      const text = args.text(name)
      return text === undefined ? [] : [`--${name}`, text]
    })
    const flags = ['tiny', 'json'].filter((name) => args.flag(name)).map((name) => `--${name}`)
    const child = spawn(process.execPath, [fileURLToPath(program), ...args.words, ...texts, ...flags], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: config.environment,
    })
    // Ctrl-C reaches the child as well; this process waits until the child has stopped its servers.
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => child.kill('SIGTERM'))
    const [code] = await once(child, 'exit')
    return code ?? 1
  },
}
