import { newNodeId } from '../protocol/model/random-id.ts'
import { systemRuntime } from '../protocol/runtime.ts'
import { readNetwork } from '../service/network/listening.ts'
import {
  type Environment,
  readNumber,
  readSecret,
  readText,
  readTracesUrl,
} from '../service/process/environment.ts'
import { readS3 } from '../service/s3/s3-settings.ts'

/** Below the 90 s that systemd grants by default. */
const DRAIN_SECONDS_DEFAULT = 60

/**
 * Reads the settings of a storage node from its environment. Throws `BAD_REQUEST`, naming the wrong variable.
 */
export function readConfig(env: Environment = process.env) {
  const network = readNetwork(env)
  return Object.freeze({
    // Each start is another node.
    id: env.MAYFLY_NODE_ID || newNodeId(systemRuntime.random),
    class: readText(env, 'MAYFLY_NODE_CLASS'),
    ramBytes: readNumber(env, 'MAYFLY_NODE_RAM_BYTES'),
    ssd: readSsd(env),
    bytesPerSecond: readNumber(env, 'MAYFLY_NODE_BYTES_PER_SECOND'),
    persistedDir: readText(env, 'MAYFLY_KEPT_DIR'),
    s3: readS3(env),
    listen: network.listen,
    network,
    controllerUrl: readText(env, 'MAYFLY_CONTROLLER_URL'),
    /** How long a process that is told to end serves on, until its slots have moved. */
    drainMs: readNumber(env, 'MAYFLY_DRAIN_SECONDS', DRAIN_SECONDS_DEFAULT) * 1000,
    secret: readSecret(env),
    logLevel: readText(env, 'MAYFLY_LOG_LEVEL', 'info'),
    tracesUrl: readTracesUrl(env),
  })
}

/** Null if the node has no SSD tier. */
function readSsd(env: Environment): { bytes: number; dir: string } | null {
  const bytes = readNumber(env, 'MAYFLY_NODE_SSD_BYTES', 0)
  return bytes === 0 ? null : { bytes, dir: readText(env, 'MAYFLY_NODE_SSD_DIR') }
}

/** `network` concerns the process, not what it serves. */
export type NodeConfig = Omit<ReturnType<typeof readConfig>, 'network'>
