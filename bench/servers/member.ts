import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './server.ts'

/** A server process that serves, or waits until it leads. */
export interface Member {
  readonly child: ChildProcess
  /** Where its `/readyz` is. */
  readonly probes: string
  /** Resolves with the address that it advertises once it serves; a standby does when it leads. Rejects with its last log line if it ends before. */
  readonly ready: Promise<string>
  readonly exited: Promise<unknown>
  /** Sends a signal and waits for the exit; resolves with code or signal. */
  end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null>
  /** Resolves once it answers its probes: it may take over from then on. */
  waiting(): Promise<void>
  /** Its log so far. */
  log(): string
}

/** Where a member runs. */
export interface Place {
  /** The command that runs the words after it there. */
  readonly prefix: readonly string[]
  readonly address: string
}

const here: Place = { prefix: [], address: '127.0.0.1' }

/** Runs a built program, or a verb of the command, with these variables alone. */
export async function startMember(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  { prefix, address }: Place = here,
): Promise<Member> {
  const probes = `${address}:${await freePort()}`
  const [program = '', ...words] = [...prefix, process.execPath, ...args]
  const child = spawn(program, words, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, MAYFLY_METRICS_LISTEN: probes, ...env },
  })
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  const lines: string[] = []
  const ready = new Promise<string>((resolve, reject) => {
    const log = createInterface({ input: child.stderr })
    log.on('line', (line) => {
      lines.push(line)
      const { msg, address: served } = JSON.parse(line) as { msg?: string; address?: string }
      if (msg === 'ready' && served !== undefined) resolve(served)
    })
    log.once('close', () => reject(new Error(`${args.join(' ')} ended: ${lines.at(-1)}`)))
  })
  // A standby may end without having led.
  ready.catch(() => undefined)
  return {
    child,
    probes,
    ready,
    exited,
    end: async (signal) => {
      child.kill(signal)
      const [code, killer] = await exited
      return code ?? killer
    },
    waiting: () => answers(probes),
    log: () => lines.join('\n'),
  }
}

/** Writes `secret`, `key` and `cluster.json` of a cluster whose nodes are of one class, which `smallNode` names. */
export async function writeClusterFiles(dir: string, apiKey: string): Promise<void> {
  const write = (name: string, text: string) => writeFile(join(dir, name), text, { mode: 0o600 })
  const nodeClass = { name: 'small', cores: 1, ramBytes: 2 ** 28, ssdBytes: 0, bytesPerSecond: 1e9 }
  const cluster = { warmNodes: 0, nodeClasses: [{ ...nodeClass, pricePerHour: 0, nodesMax: 8 }] }
  await write('secret', randomBytes(32).toString('hex'))
  await write('key', apiKey)
  await write('cluster.json', JSON.stringify(cluster))
}

/** Variables of a node of that class. */
export const smallNode = {
  MAYFLY_NODE_CLASS: 'small',
  MAYFLY_NODE_RAM_BYTES: String(2 ** 28),
  MAYFLY_NODE_BYTES_PER_SECOND: String(1e9),
}

async function answers(probes: string): Promise<void> {
  for (;;) {
    const answered = await fetch(`http://${probes}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (answered) return
    await sleep(20)
  }
}
