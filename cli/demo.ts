import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isError } from '../protocol/errors.ts'
import { systemRuntime } from '../protocol/runtime.ts'
import type { CliConfig } from './config.ts'
import { type ClusterConfig, defaultConfig } from './up/cluster-config.ts'
import { programs } from './up/programs.ts'
import { INTERRUPTED, runCluster } from './up/run-cluster.ts'

const driver = new URL('examples/word-count/driver.js', programs)

/**
 * Runs the word count of examples/ on a cluster that lives in a temporary folder, and returns the driver's exit
 * code. Nothing is left of either, whatever ends it. With `ramBytes` one node with no more RAM than that has to do.
 */
export async function runDemo(
  { environment }: Pick<CliConfig, 'environment'>,
  ramBytes: number | undefined,
): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'mayfly-demo-'))
  const remove = (): void => rmSync(dir, { recursive: true, force: true })
  process.once('exit', remove)
  const say = (line: string): boolean => process.stderr.write(`mayfly: ${line}\n`)
  const config = ramBytes === undefined ? defaultConfig : withRam(ramBytes)
  const options = { dir, port: 0, config, environment, programs, runtime: systemRuntime, say }
  try {
    return await runCluster(options, ({ url, apiKey }, ended) => {
      return runDriver({ ...environment, MAYFLY_URL: url, MAYFLY_API_KEY: apiKey }, ended)
    })
  } catch (error) {
    if (isError(error, 'ABORTED')) return INTERRUPTED
    throw error
  }
}

/** What does not fit into RAM goes to the node's SSD tier. */
function withRam(ramBytes: number): ClusterConfig {
  const nodeClasses = defaultConfig.nodeClasses.map((each) => ({ ...each, ramBytes, nodesMax: 1 }))
  return { ...defaultConfig, nodeClasses }
}

/**
 * A group of its own makes the driver and the functions that it started one thing that one signal ends, even while
 * the driver computes and could not pass the signal on.
 */
function runDriver(environment: NodeJS.ProcessEnv, ended: AbortSignal): Promise<number> {
  const child = spawn(process.execPath, [fileURLToPath(driver)], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: environment,
    detached: true,
  })
  const killGroup = (): void => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  }
  ended.addEventListener('abort', killGroup, { once: true })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => {
      ended.removeEventListener('abort', killGroup)
      resolve(code ?? 1)
    })
  })
}
