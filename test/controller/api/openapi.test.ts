import Schema from 'typebox/schema'
import { expect, test } from 'vitest'
import { dereference } from '../support/dereference.ts'
import { MIB, type Reply, World } from '../support/world.ts'

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: object }[]
  readonly requestBody?: { readonly content: Record<string, { readonly schema: JsonSchema }> }
  readonly responses: Record<string, { readonly content?: Record<string, { readonly schema: object }> }>
}

interface JsonSchema {
  readonly type?: string
  readonly properties?: Record<string, JsonSchema>
  readonly required?: readonly string[]
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
}

type Document = { readonly paths: Record<string, Record<string, Operation>> }

const hints = { capacityBytes: 8 * MIB, peakBytesPerSecond: 1_000, latencyMs: 1.5, readsPerObject: 0.5 }

/** Sends requests, and checks that each answer matches the document. */
class Checked {
  readonly seen = new Set<string>()
  readonly #world: World
  readonly #document: Document

  constructor(world: World, document: Document) {
    this.#world = world
    this.#document = document
  }

  async ask(operation: string, call: { id?: string; body?: unknown; headers?: Record<string, string> } = {}) {
    const [method = '', path = ''] = operation.split(' ')
    const { id = '', ...request } = call
    const reply = await this.#world.ask(path.replace('{id}', id), {
      method: method.toUpperCase(),
      ...request,
    })
    const documented = this.#document.paths[path]?.[method]?.responses[String(reply.status)]
    expect(documented, `${operation} answers ${reply.status}: ${reply.text}`).toBeDefined()
    const schema = documented?.content?.['application/json']?.schema
    if (reply.body !== undefined && schema !== undefined) {
      const [valid, errors] = Schema.Errors(schema, reply.body)
      expect(valid, `${operation} ${reply.status}: ${JSON.stringify(errors)}`).toBe(true)
    }
    this.seen.add(operation)
    return reply
  }
}

async function start(): Promise<{ world: World; document: Document; checked: Checked }> {
  const world = await World.start({ warmNodes: 1, quota: { jobs: 3 } })
  const document = dereference((await world.ask('/openapi.json')).body) as Document
  return { world, document, checked: new Checked(world, document) }
}

function operationsOf({ paths }: Document): string[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  )
}

test('every route answers as the document says, when all is well and when it is not', async () => {
  const { world, document, checked } = await start()
  const { body } = await checked.ask('post /v1/jobs', { body: { name: 'a', hints, leaseSeconds: 60 } })
  const { id } = body
  await world.report(body.reservation.nodes[0].node, [
    { id, objects: 1, bytes: { ram: 5 }, bytesPerSecond: 7 },
  ])
  await checked.ask('get /v1/jobs')
  await checked.ask('get /v1/jobs/{id}', { id })
  await checked.ask('patch /v1/jobs/{id}', { id, body: { hints } })
  await checked.ask('post /v1/jobs/{id}/renew', { id })
  await checked.ask('get /v1/nodes')
  await checked.ask('get /v1/cluster')
  await checked.ask('get /metrics')
  await checked.ask('get /healthz')
  const unknown: Reply[] = []
  for (const operation of operationsOf(document)) {
    if (operation === 'get /v1/events') continue
    unknown.push(await checked.ask(operation, { id: 'unknown', body: undefined }))
    if (operation !== 'get /healthz' && operation !== 'get /openapi.json')
      unknown.push(
        await checked.ask(operation, { id: 'unknown', headers: { authorization: 'Bearer wrong' } }),
      )
  }
  expect(new Set(unknown.map(({ status }) => status))).toEqual(new Set([200, 201, 400, 401, 404]))
  await checked.ask('post /v1/jobs', { body: { name: 'a', hints: { capacityBytes: 2 ** 45 } } })
  await checked.ask('patch /v1/jobs/{id}', { id, body: { hints: { capacityBytes: 2 ** 45 } } })
  await checked.ask('post /v1/jobs', { body: { name: 'x'.repeat(70_000) } })
  await checked.ask('delete /v1/jobs/{id}', { id })
  await checked.ask('post /v1/jobs/{id}/renew', { id })
  await checked.ask('patch /v1/jobs/{id}', { id, body: { hints } })
  const [node] = await world.nodes()
  await checked.ask('post /v1/nodes/{id}/drain', { id: node?.id ?? '' })
  expect([...checked.seen].sort()).toEqual(
    operationsOf(document)
      .filter((operation) => operation !== 'get /v1/events')
      .sort(),
  )
})

/** Values that the field must refuse, whatever its other constraints. */
function wrongValues(schema: JsonSchema): unknown[] {
  const { type, minimum, maximum, minLength, maxLength } = schema
  const others = [null, true, 'text', 1.5, -1, {}, [], Number.MAX_SAFE_INTEGER + 1]
  switch (type) {
    case 'integer':
    case 'number':
      return [
        ...others.filter((value) => type === 'integer' || value !== 1.5),
        ...(minimum === undefined ? [] : [minimum - 1]),
        ...(maximum === undefined ? [] : [maximum + 1]),
      ]
    case 'boolean':
      return others.filter((value) => value !== true)
    case 'string':
      return [
        ...others.filter((value) => typeof value !== 'string'),
        ...(minLength === undefined ? [] : ['x'.repeat(minLength - 1)]),
        ...(maxLength === undefined ? [] : ['x'.repeat(maxLength + 1)]),
      ]
    default:
      return others.filter((value) => JSON.stringify(value) !== '{}')
  }
}

const validBodies: Record<string, Record<string, unknown>> = {
  'post /v1/jobs': { name: 'a', hints },
  'post /v1/jobs/{id}/move': { metadata: 'm-1' },
  'post /v1/jobs/{id}/tickets': {},
  'post /v1/jobs/{id}/s3-keys': {},
  'post /v1/keys': { name: 'k', role: 'driver' },
  'post /v1/keys/{name}/rotate': {},
}

/** Bodies that are valid except for one field, each with the path of that field. */
function* wrongBodies(schema: JsonSchema, valid: Record<string, unknown>): Generator<[string, unknown]> {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    for (const value of wrongValues(field)) yield [name, { ...valid, [name]: value }]
    if (field.properties === undefined) continue
    const inner = (valid[name] ?? {}) as Record<string, unknown>
    for (const [path, body] of wrongBodies(field, inner))
      yield [`${name}.${path}`, { ...valid, [name]: body }]
  }
  for (const name of schema.required ?? []) {
    const { [name]: _, ...rest } = valid
    yield [name, rest]
  }
  yield ['unknown', { ...valid, unknown: 1 }]
}

test('every field of every body is refused by its name when it is missing, unknown, of another type or out of range', async () => {
  const { world, document, checked } = await start()
  const { body } = await checked.ask('post /v1/jobs', { body: { name: 'a', hints } })
  let tried = 0
  for (const operation of operationsOf(document)) {
    const [method = '', path = ''] = operation.split(' ')
    const schema = document.paths[path]?.[method]?.requestBody?.content['application/json']?.schema
    if (schema === undefined) continue
    const valid = validBodies[operation] ?? { hints }
    for (const [field, wrong] of wrongBodies(schema, valid)) {
      const { status, body: answer } = await checked.ask(operation, { id: body.id, body: wrong })
      expect([status, answer.error?.field], JSON.stringify(wrong)).toEqual([400, field])
      tried++
    }
  }
  expect(tried).toBeGreaterThan(80)
  expect((await world.ask('/v1/jobs')).body.jobs.length).toBe(1)
})
