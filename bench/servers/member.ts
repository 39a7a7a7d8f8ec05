import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './server.ts'

/** A server process that serves, or waits until it leads. */
export interface Member {
  readonly child: ChildProcess
  /** Where its `/readyz` is. */
  readonly probes: string
  /** Resolves with its address once it serves; a standby does when it leads. */
  readonly ready: Promise<string>
  readonly exited: Promise<unknown>
  /** Resolves once it answers its probes: it may take over from then on. */
  waiting(): Promise<void>
  /** Its log so far. */
  log(): string
}

/** Runs a built program, or a verb of the command, with these variables alone. */
export async function startMember(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Member> {
  const probes = `127.0.0.1:${await freePort()}`
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, MAYFLY_METRICS_LISTEN: probes, ...env },
  })
  const exited = once(child, 'exit')
  const lines: string[] = []
  const ready = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      lines.push(line)
      const { msg, address } = JSON.parse(line) as { msg?: string; address?: string }
      if (msg === 'ready' && address !== undefined) resolve(address)
    })
    void exited.then(() => reject(new Error(`${args.join(' ')} ended: ${lines.at(-1)}`)))
  })
  // A standby may end without having led.
  ready.catch(() => undefined)
  return { child, probes, ready, exited, waiting: () => answers(probes), log: () => lines.join('\n') }
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
