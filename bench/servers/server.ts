import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A server for a bench or a test. It listens only on loopback. */
export interface Server {
  /** What a client needs to connect. */
  readonly target: string
  /** Ids of all its processes. */
  pids(): Promise<readonly number[]>
  /** The longest stall of its event loop since the last call, if it is watched. */
  longestStallMs?(): Promise<number>
  /** Resolves once its processes have exited and its folder is removed. */
  stop(): Promise<void>
}

/** How to start a program. */
export interface Program {
  readonly file: string
  readonly args: (at: { port: number; dir: string }) => readonly string[]
  readonly environment?: NodeJS.ProcessEnv
  /** Whether its folder is in RAM where the system allows it, so that no disk is measured. */
  readonly inMemory?: boolean
  /** Called repeatedly until it returns true. */
  readonly isReady: (port: number) => Promise<boolean>
}

const READY_MS_MAX = 30_000
const LOOK_MS = 20
/** Another program may take the port after it was found free and before it is used. */
const STARTS_MAX = 3

/** Starts a program on a free port of loopback, with a temporary folder. */
export async function startProgram(program: Program): Promise<Server & { readonly port: number }> {
  for (let start = 1; ; start++) {
    const port = await freePort()
    const dir = await mkdtemp(join(program.inMemory ? memoryDir() : tmpdir(), 'mayfly-peer-'))
    const child = spawn(program.file, program.args({ port, dir }), {
      cwd: dir,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...program.environment },
    })
    const output = lastOutput(child)
    const stop = async (): Promise<void> => {
      await end(child)
      await rm(dir, { recursive: true, force: true })
    }
    if (await becomesReady(child, () => program.isReady(port))) {
      const pids = async (): Promise<number[]> => (child.pid === undefined ? [] : [child.pid])
      return { port, target: `127.0.0.1:${port}`, pids, stop }
    }
    await stop()
    if (start === STARTS_MAX) throw new Error(`${program.file} did not become ready:\n${output()}`)
  }
}

async function becomesReady(child: ChildProcess, isReady: () => Promise<boolean>): Promise<boolean> {
  let running = true
  child.once('exit', () => {
    running = false
  })
  child.once('error', () => {
    running = false
  })
  for (const endMs = performance.now() + READY_MS_MAX; running && performance.now() < endMs; ) {
    if (await isReady()) return running
    await sleep(LOOK_MS)
  }
  return false
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** The last output of the program, for the error if it does not start. Reading it also prevents its pipes from filling up. */
function lastOutput(child: ChildProcess): () => string {
  const PERSISTED_CHARACTERS = 4096
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (piece: string) => {
      text = (text + piece).slice(-PERSISTED_CHARACTERS)
    })
  }
  child.once('error', (error) => {
    text += String(error)
  })
  return () => text
}

/** Linux has a folder in RAM (shm_overview(7)); on other systems the program writes to disk. */
function memoryDir(): string {
  return existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
}

/** A port of loopback below those that the system chooses itself, so that a later `listen(0)` of another process does not get it. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000)
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    server.close()
    await once(server, 'close')
    return port
  }
}
