import { assert } from '../../protocol/assert.ts'
import { examples } from './examples.ts'

/** The parts of the document that belong to no route. */
export const openapiHead = {
  openapi: '3.1.0',
  info: {
    title: 'Mayfly controller',
    description:
      'Jobs, nodes and the cluster. Objects are put and read over the binary protocol of docs/protocol.md, with the ticket of a job.',
    version: '1',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  servers: [{ url: '/', description: 'The controller that serves this document' }],
  tags: [
    { name: 'jobs', description: 'Registered jobs, their reservations and tickets' },
    { name: 'cluster', description: 'Nodes, totals, events and metrics' },
    { name: 'persisted', description: 'Objects that were put with `persist`' },
    { name: 'keys', description: 'API keys, for admins' },
    { name: 'open', description: 'What needs no key' },
  ],
  components: {
    securitySchemes: { apiKey: { type: 'http' as const, scheme: 'bearer', description: 'An API key' } },
  },
  security: [{ apiKey: [] }],
}

/** Moves every schema with a title to `components.schemas`, and adds the example of that name. */
export function nameSchemas<Document extends { paths?: object; components?: object }>(
  document: Document,
): Document {
  const schemas: Record<string, object> = {}
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk)
    if (typeof value !== 'object' || value === null) return value
    const { title, ...rest } = mapValues(value, walk) as { title?: unknown }
    if (typeof title !== 'string') return { ...(title !== undefined && { title }), ...rest }
    // The title of the document itself.
    if (!('type' in rest)) return { title, ...rest }
    const schema = { ...rest, ...(title in examples && { examples: [examples[title]] }) }
    schemas[title] ??= schema
    assert(JSON.stringify(schemas[title]) === JSON.stringify(schema), `two schemas are called ${title}`)
    return { $ref: `#/components/schemas/${title}` }
  }
  const paths = mapValues(document.paths ?? {}, (methods) =>
    mapValues(methods as object, (operation) => walk(describeReplies(operation as Operation))),
  )
  return { ...document, paths, components: { ...document.components, schemas } }
}

interface Operation {
  readonly responses?: Readonly<Record<string, Reply>>
}
interface Reply {
  readonly description: string
  readonly content?: Readonly<Record<string, { readonly schema?: { description?: string; title?: string } }>>
}

/** Moves the description of a reply from its schema to the reply, so that schemas that differ only in it become one. */
function describeReplies(operation: Operation): Operation {
  const responses = mapValues(operation.responses ?? {}, (reply) => {
    const { description, content } = reply as Reply
    if (content === undefined) return reply
    const [{ schema = {} } = {}] = Object.values(content)
    const said =
      description === 'Default Response' ? (schema.description ?? schema.title ?? 'Done') : description
    const media = mapValues(content, (each) => ({
      ...(each as object),
      schema: withoutDescription(schema, said),
    }))
    return { ...(reply as Reply), description: said, content: media }
  })
  return { ...operation, responses } as Operation
}

function withoutDescription(schema: { description?: string }, said: string): object {
  const { description, ...rest } = schema
  return description === said ? rest : schema
}

function mapValues(of: object, change: (value: unknown) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(of).map(([key, value]) => [key, change(value)]))
}
