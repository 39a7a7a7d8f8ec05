import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import openapiTS, { astToString } from 'openapi-typescript'
import Schema from 'typebox/schema'
import ts from 'typescript'
import { expect, onTestFinished, test } from 'vitest'
import { dereference } from '../support/dereference.ts'
import { apiKey, World } from '../support/world.ts'

const root = new URL('../../../', import.meta.url).pathname

test('every operation has an id of its own, and every example is one of its schema', async () => {
  const world = await World.start()
  const { body } = await world.ask('/openapi.json')
  const operations = Object.values<object>(body.paths).flatMap((methods) => Object.values(methods))
  const ids = operations.map(({ operationId }) => operationId)
  expect(new Set(ids).size).toBe(operations.length)
  expect(ids.every((id) => /^[a-z][a-zA-Z0-9]+$/.test(id))).toBe(true)
  let tried = 0
  for (const [name, schema] of Object.entries<{ examples?: unknown[] }>(
    dereference(body).components.schemas,
  )) {
    for (const example of schema.examples ?? []) {
      const [valid, errors] = Schema.Errors(schema, example)
      expect([name, valid], JSON.stringify(errors)).toEqual([name, true])
      tried++
    }
  }
  const named = Object.keys(body.components.schemas)
  for (const { requestBody } of operations) {
    if (requestBody === undefined) continue
    const [, name = ''] = /schemas\/(.+)$/.exec(requestBody.content['application/json'].schema.$ref) ?? []
    expect(body.components.schemas[name].examples, name).toHaveLength(1)
  }
  expect(named.length).toBeGreaterThan(25)
  expect(tried).toBeGreaterThan(15)
})

test('the document passes redocly lint', async () => {
  const world = await World.start()
  const dir = await scratch()
  const { text } = await world.ask('/openapi.json')
  await writeFile(join(dir, 'openapi.json'), text)
  const redocly = join(root, 'node_modules/@redocly/cli/bin/cli.js')
  const lint = ['lint', '--format=json', '--extends=recommended', 'openapi.json']
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
  const { stdout } = await promisify(execFile)(process.execPath, [redocly, ...lint], { cwd: dir, env })
  expect(JSON.parse(stdout).totals).toEqual({ errors: 0, warnings: 0, ignored: 0 })
})

/** A program that uses what openapi-typescript makes of the document; what it is wrong about does not compile. */
const program = `
import createClient from 'openapi-fetch'
import type { components, paths } from './api.ts'

export async function run(baseUrl: string, apiKey: string) {
  const client = createClient<paths>({ baseUrl, headers: { authorization: 'Bearer ' + apiKey } })
  const { data: health } = await client.GET('/healthz')
  const status: 'ok' | undefined = health?.status
  const names: string[] = []
  const ids: string[] = []
  for (const name of ['a', 'b', 'b']) {
    const { data } = await client.POST('/v1/jobs', { body: { name, hints: { capacityBytes: 1048576 } } })
    if (data === undefined) throw new Error('refused')
    const job: components['schemas']['JobWithTicket'] = data
    ids.push(job.id)
  }
  let after: string | undefined
  do {
    const query = { name: 'b', limit: 1, ...(after !== undefined && { after }) }
    const { data } = await client.GET('/v1/jobs', { params: { query } })
    names.push(...(data?.jobs ?? []).map((job) => job.name))
    after = data?.next
  } while (after !== undefined)
  const { data: ended } = await client.DELETE('/v1/jobs/{id}', { params: { path: { id: ids[0] ?? '' } } })
  const { error } = await client.GET('/v1/jobs/{id}', { params: { path: { id: 'j-unknown' } } })
  const code: components['schemas']['Error']['error']['code'] | undefined = error?.error.code
  // @ts-expect-error: a hint of another type
  const wrong = await client.POST('/v1/jobs', { body: { name: 'c', hints: { capacityBytes: '1' } } })
  return { status, names, ended: ended?.state, code, field: wrong.error?.error.field }
}
`

test('a client that openapi-typescript generates compiles, and does what it says', async () => {
  const world = await World.start({ warmNodes: 1 })
  const dir = await scratch()
  const { body } = await world.ask('/openapi.json')
  await writeFile(join(dir, 'api.ts'), astToString(await openapiTS(body)))
  await writeFile(join(dir, 'program.ts'), program)
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
    module: ts.ModuleKind.NodeNext,
    strict: true,
    skipLibCheck: true,
    types: [],
    rewriteRelativeImportExtensions: true,
    outDir: join(dir, 'out'),
  }
  await writeFile(join(dir, 'package.json'), '{ "type": "module" }')
  const compiled = ts.createProgram([join(dir, 'program.ts')], options)
  const problems = ts.getPreEmitDiagnostics(compiled)
  const text = ts.formatDiagnostics(problems, ts.createCompilerHost(options))
  expect(text).toBe('')
  compiled.emit()
  const { run } = await import(join(dir, 'out/program.js'))
  expect(await run(world.url, apiKey)).toEqual({
    status: 'ok',
    names: ['b', 'b'],
    ended: 'ended',
    code: 'JOB_NOT_FOUND',
    field: 'hints.capacityBytes',
  })
})

/** A folder from which the packages of this repository resolve, and that is gone when the test is over. */
async function scratch(): Promise<string> {
  const caches = join(root, 'node_modules/.cache')
  await mkdir(caches, { recursive: true })
  const dir = await mkdtemp(join(caches, 'document-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}
