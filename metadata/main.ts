import { systemRuntime } from '../protocol/runtime.ts'
import { runService } from '../service/lifecycle.ts'
import { readConfig } from './config.ts'
import { startMetadata } from './server.ts'

await runService('metadata', {
  readConfig: () => readConfig(),
  start: (config, log) => startMetadata(config, systemRuntime, log),
})
