import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { compose } from '../../bench/servers/go-programs.ts'
import { parseConfig } from '../../cli/up/config/cluster-config.ts'
import { needPeer } from '../fixture/peers.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const file = join(import.meta.dirname, '../../deploy/compose.yaml')

interface Service {
  readonly image: string
  readonly command?: readonly string[]
  readonly read_only?: boolean
  readonly configs?: readonly { readonly source: string; readonly target: string; readonly uid: string }[]
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: object
}

interface Project {
  readonly services: Readonly<Record<string, Service>>
  readonly configs: Readonly<Record<string, { readonly content: string }>>
}

/** The project as the reference implementation loads it; rejects with what is wrong. */
async function load(path: string): Promise<Project> {
  const args = ['-format', 'json', '-no-interpolation', path]
  const { stdout } = await promisify(execFile)(compose.find() ?? '', args)
  return JSON.parse(stdout) as Project
}

test('the Compose file keeps to the specification, and services wait for healthy ones', async (context) => {
  needPeer('compose', context)
  const { services } = await load(file)
  expect(Object.keys(services).sort()).toEqual(['bucket', 'mayfly', 'minio', 'postgres'])
  for (const { depends_on: waitsFor = {} } of Object.values(services))
    for (const [name, { condition }] of Object.entries(waitsFor)) {
      if (condition === 'service_healthy') expect(services[name]?.healthcheck, name).toBeDefined()
      else expect(condition).toBe('service_completed_successfully')
    }
})

test.for([
  ['  mayfly:\n    image:', '  mayfly:\n    imagee:', 'imagee'],
  ['condition: service_healthy }\n      bucket', 'condition: healthy }\n      bucket', 'condition'],
])('the check finds a mistake: %s becomes %s', async ([right = '', wrong = '', message = ''], context) => {
  needPeer('compose', context)
  const broken = join(await tempDir(), 'compose.yaml')
  const text = await readFile(file, 'utf8')
  expect(text).toContain(right)
  await writeFile(broken, text.replace(right, wrong))
  await expect(load(broken)).rejects.toThrow(message)
})

test('Mayfly gets a config that it takes, readable by its user alone', async (context) => {
  needPeer('compose', context)
  const { services, configs } = await load(file)
  const passwords: Readonly<Record<string, string>> = {
    POSTGRES_PASSWORD: 'secret',
    MINIO_PASSWORD: 'secret2',
  }
  const text = configs['mayfly.json']?.content.replaceAll(/\$\{(\w+)\}/g, (_, name) => passwords[name] ?? '')
  expect(parseConfig(text ?? '')).toMatchObject({
    database: 'postgres://mayfly:secret@postgres:5432/mayfly',
    s3: { endpoint: 'http://minio:9000', secretAccessKey: 'secret2' },
    network: { host: '0.0.0.0', advertise: 'mayfly' },
  })
  const { command, configs: mounted, read_only: isReadOnly } = services.mayfly ?? {}
  expect(command).toContain(mounted?.[0]?.target)
  expect(mounted).toMatchObject([{ source: 'mayfly.json', uid: '10001' }])
  expect(isReadOnly).toBe(true)
})
