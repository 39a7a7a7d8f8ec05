/**
 * The cold start of a function: loads the library of one system, connects, and gets one object. It imports nothing else, and what the bench itself needs is
 * loaded before the clock starts.
 */
import { openers, type SystemName } from '../clients/open.ts'

export interface ColdStart {
  readonly importMs: number
  readonly firstGetMs: number
  readonly bytes: number
  readonly cpuSeconds: number
}

const [system, target = '', key = ''] = process.argv.slice(2)
const load = openers[system as SystemName]
const before = process.cpuUsage()
const beganMs = performance.now()
const open = await load()
const importedMs = performance.now()
const client = await open(target)
const object = await client.get(key)
const endedMs = performance.now()
const { user, system: kernel } = process.cpuUsage(before)
const result: ColdStart = {
  importMs: importedMs - beganMs,
  firstGetMs: endedMs - importedMs,
  bytes: object.length,
  cpuSeconds: (user + kernel) / 1e6,
}
process.stdout.write(JSON.stringify(result))
await client.close()
