import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readConfig } from '../../controller/config.ts'
import { defaultTraits } from '../../controller/sizing/tier-traits.ts'
import { tempDir } from '../fixture/temp-dir.ts'
import { smallClass } from './support/world.ts'

async function environment(change: { apiKey?: string; cluster?: unknown } = {}) {
  const dir = await tempDir()
  const cluster = change.cluster ?? { warmNodes: 1, nodeClasses: [smallClass] }
  writeFileSync(join(dir, 'secret'), 'ab'.repeat(32), { mode: 0o600 })
  writeFileSync(join(dir, 'key'), `${change.apiKey ?? 'a-key-of-some-length'}\n`, { mode: 0o600 })
  writeFileSync(join(dir, 'cluster.json'), JSON.stringify(cluster))
  return {
    MAYFLY_LISTEN: '127.0.0.1:7400',
    MAYFLY_DIR: dir,
    MAYFLY_KEPT_DIR: dir,
    MAYFLY_SECRET_FILE: join(dir, 'secret'),
    MAYFLY_API_KEY_FILE: join(dir, 'key'),
    MAYFLY_CLUSTER_FILE: join(dir, 'cluster.json'),
  }
}

describe('the settings of the controller', () => {
  test('come from its environment and the files that it names', async () => {
    expect(readConfig(await environment())).toMatchObject({
      listen: { host: '127.0.0.1', port: 7400 },
      apiKeys: [{ name: 'default', key: 'a-key-of-some-length', role: 'admin', quota: {} }],
      quota: {},
      warmNodes: 1,
      classes: [smallClass],
      traits: defaultTraits,
      firstClass: smallClass,
      logLevel: 'info',
    })
  })

  test('name further API keys, and what each and all may have', async () => {
    const cluster = {
      warmNodes: 0,
      nodeClasses: [smallClass],
      limits: { jobs: 9 },
      apiKeys: [
        { name: 'ci', key: 'another-key-of-some-length', limits: { jobs: 2 } },
        { name: 'default', limits: { bytes: 5 } },
      ],
    }
    expect(readConfig(await environment({ cluster }))).toMatchObject({
      quota: { jobs: 9 },
      apiKeys: [
        { name: 'default', key: 'a-key-of-some-length', quota: { bytes: 5 } },
        { name: 'ci', key: 'another-key-of-some-length', quota: { jobs: 2 } },
      ],
    })
    const short = { ...cluster, apiKeys: [{ name: 'ci', key: 'short', limits: {} }] }
    const env = await environment({ cluster: short })
    expect(() => readConfig(env)).toThrow("API key 'ci'")
  })

  test('are refused by the name of the variable that is missing', async () => {
    const { MAYFLY_DIR: _, ...env } = await environment()
    expect(() => readConfig(env)).toThrow('MAYFLY_DIR')
  })

  test('need a key that cannot be guessed, and node classes that are some', async () => {
    expect(() => readConfig({ MAYFLY_LISTEN: 'nowhere' })).toThrow('MAYFLY_LISTEN')
    const short = await environment({ apiKey: 'short' })
    expect(() => readConfig(short)).toThrow('at least 16 characters')
    const none = await environment({ cluster: { warmNodes: 1, nodeClasses: [] } })
    expect(() => readConfig(none)).toThrow('nodeClasses')
    const negative = await environment({ cluster: { warmNodes: -1, nodeClasses: [smallClass] } })
    expect(() => readConfig(negative)).toThrow('warmNodes')
  })
})
