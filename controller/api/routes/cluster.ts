import Type from 'typebox'
import { type Node, nodeStates } from '../../records/node.ts'
import { forViewers, keyOf } from '../authentication.ts'
import { replies } from '../replies.ts'
import { cluster, consoleLink, metricsTargets, node, nodeList } from '../schemas.ts'
import type { Api, Routes } from './api.ts'
import { pageOf, paging, positionAt, readLimit } from './paging.ts'

const tags = ['cluster']

export function clusterRoutes(
  app: Api,
  { drains, nodes, views, streams, metrics, sessions, metadata, gateways }: Routes,
): void {
  app.get(
    '/v1/nodes',
    {
      config: forViewers,
      schema: {
        operationId: 'listNodes',
        tags,
        summary: 'Storage nodes',
        description:
          'Those that start, run or drain, and for a while those that were lost; the oldest first.',
        querystring: Type.Object(
          {
            class: Type.Optional(Type.String({ maxLength: 64, description: 'Name of a node class' })),
            state: Type.Optional(Type.Enum(nodeStates)),
            ...paging,
          },
          { additionalProperties: false },
        ),
        response: replies(200, nodeList, ['BAD_REQUEST']),
      },
      preValidation: readLimit,
    },
    ({ query }) => {
      const matching = nodes
        .all()
        .filter(
          ({ record }) =>
            (query.class === undefined || record.class === query.class) &&
            (query.state === undefined || record.state === query.state),
        )
      const positionOf = ({ record }: Node): string => positionAt(record.startedAtMs, record.id)
      const { items, ...next } = pageOf(matching, positionOf, query)
      return { nodes: views.nodesNow(items), ...next }
    },
  )

  app.post(
    '/v1/nodes/:id/drain',
    {
      schema: {
        operationId: 'drainNode',
        tags,
        summary: 'Empty a node, then stop it',
        description:
          'Its jobs get as much on other nodes, their slots move there, and the node stops once it is empty. If there is no room, nothing changes.',
        params: Type.Object({ id: Type.String() }),
        response: replies(202, node, ['BAD_REQUEST', 'NODE_NOT_FOUND', 'RESERVATION_REFUSED', 'UNAVAILABLE']),
      },
    },
    async (request, reply) =>
      reply.status(202).send(views.nodeNow(await drains.begin(request.params.id, 'any'))),
  )

  app.get(
    '/v1/cluster',
    {
      config: forViewers,
      schema: {
        operationId: 'getCluster',
        tags,
        summary: 'Node classes, totals and metadata servers',
        response: replies(200, cluster, []),
      },
    },
    () => views.cluster(),
  )

  app.get(
    '/v1/events',
    {
      config: forViewers,
      schema: {
        operationId: 'streamEvents',
        tags,
        summary: 'What happens, as server-sent events',
        description:
          'Each event has an id, a type and a JSON body. A Last-Event-ID header resumes after it, as far as events are retained; without one the stream begins with what happens next.',
        headers: Type.Object({
          'last-event-id': Type.Optional(Type.String({ pattern: '^[0-9]{1,16}$' })),
        }),
        response: {
          ...replies(200, Type.String(), ['BAD_REQUEST', 'TOO_MANY_REQUESTS']),
          200: text('text/event-stream'),
        },
      },
    },
    (request, reply) => {
      streams.requireRoom(request.caller.name)
      const last = request.headers['last-event-id']
      reply.hijack()
      streams.serve(reply.raw, {
        owner: request.caller.name,
        after: last === undefined ? null : Number(last),
      })
    },
  )

  app.post(
    '/v1/console/links',
    {
      config: forViewers,
      schema: {
        operationId: 'makeConsoleLink',
        tags,
        summary: 'A link that opens the page once',
        description:
          'Its code is in the fragment, which no browser sends and no log has. Whoever opens it is logged in to the page of this controller as the API key with which it was made.',
        response: replies(201, consoleLink, []),
      },
    },
    (request, reply) => {
      const { code, untilMs } = sessions.makeLink(keyOf(request))
      return reply.status(201).send({ path: `/#code=${code}`, expiresAt: new Date(untilMs).toISOString() })
    },
  )

  app.get(
    '/v1/metrics/targets',
    {
      config: forViewers,
      schema: {
        operationId: 'listMetricsTargets',
        tags,
        summary: 'Where every other process serves its metrics, as Prometheus discovers targets over HTTP',
        response: replies(200, metricsTargets, []),
      },
    },
    ({ protocol }) => [
      ...nodes.all().flatMap(({ record, report }) =>
        report?.metrics === undefined
          ? []
          : [
              target(report.metrics, {
                ...schemeOf(protocol),
                plane: 'storage-node',
                process: record.id,
                class: record.class,
              }),
            ],
      ),
      ...metadata
        .all()
        .flatMap(({ id, metrics: at }) =>
          at === undefined ? [] : [target(at, { ...schemeOf(protocol), plane: 'metadata', process: id })],
        ),
      ...gateways
        .heard()
        .map(({ id, metrics: at }) => target(at, { ...schemeOf(protocol), plane: 'gateway', process: id })),
    ],
  )

  app.get(
    '/metrics',
    {
      config: forViewers,
      schema: {
        operationId: 'getMetrics',
        tags,
        summary: 'Metrics in the text format of Prometheus',
        response: { ...replies(200, Type.String(), []), 200: text('text/plain') },
      },
    },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()),
  )
}

/** Every listener of a cluster speaks TLS, or none. Prometheus takes the scheme from this label. */
function schemeOf(protocol: string): Record<string, string> {
  return protocol === 'https' ? { __scheme__: 'https' } : {}
}

function target(address: string, labels: Record<string, string>) {
  return { targets: [address], labels }
}

function text(type: string) {
  return { description: 'Text', content: { [type]: { schema: Type.String() } } }
}
