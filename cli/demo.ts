import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isError } from '../protocol/errors.ts'
import { systemRuntime } from '../protocol/runtime.ts'
import type { CliConfig } from './config.ts'
import { type ClusterConfig, defaultConfig } from './up/config/cluster-config.ts'
import { programs } from './up/programs.ts'
import { INTERRUPTED, runCluster } from './up/run-cluster.ts'

const driver = new URL('examples/word-count/driver.js', programs)

/**
 * Runs the word count of examples/ on a cluster in a temporary folder, and returns the driver's exit code. Both are removed at the end,
 * also after a failure. `ramBytes` limits the cluster to one node with that much RAM.
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
  const options = { dir, port: 0, s3Port: 0, config, environment, programs, runtime: systemRuntime, say }
  try {
    return await runCluster(options, ({ url, apiKey }, ended) => {
      return runDriver({ ...environment, MAYFLY_URL: url, MAYFLY_API_KEY: apiKey }, ended)
    })
  } catch (error) {
    if (isError(error, 'ABORTED')) return INTERRUPTED
    throw error
  }
}

/** Objects that do not fit into RAM are demoted to the node's SSD tier. */
function withRam(ramBytes: number): ClusterConfig {
  const nodeClasses = defaultConfig.nodeClasses.map((each) => ({ ...each, ramBytes, nodesMax: 1 }))
  return { ...defaultConfig, nodeClasses }
}

/**
 * A process group of its own, so that one signal ends the driver and its functions, even while the driver computes and could not forward
 * it.
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
