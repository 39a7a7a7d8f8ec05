import { systemRuntime } from '../protocol/runtime.ts'
import { runService } from '../service/lifecycle.ts'
import { readConfig } from './config.ts'
import { startNode } from './server.ts'

await runService('storage-node', {
  readConfig: () => readConfig(),
  start: (config, log) => startNode(config, systemRuntime, log),
})
