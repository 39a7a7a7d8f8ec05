import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type ErrorCode, errorTable } from '../../protocol/errors.ts'
import { PROTOCOL_VERSION } from '../../protocol/limits.ts'
import { ping, receipt } from '../../protocol/operations/control-operations.ts'
import { operations } from '../../protocol/operations/operations.ts'
import { contextCodec } from '../../protocol/wire/call-context.ts'
import { errorReply } from '../../protocol/wire/error-reply.ts'

const guide = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8')

/** The shape of the wire in each version of the protocol. A change of the shape needs a new version and a new row. */
const shapeOfVersion: Record<number, string> = {
  1: 'b32ec25fc30e504b',
  2: '3d207949fae224fb',
  3: 'cf77c4a1d1826e61',
  4: 'b61efb9599a4852d',
  5: '0479f133770d5998',
  6: 'b1f4b41bc1a57ad2',
  7: '0e4c919c2683e70f',
  8: 'a4c2af2445d05f7b',
  9: 'c1e761310afc4965',
  10: '4ada20ab3562bc0d',
  // What a connection begins with is other; no message is.
  11: '4ada20ab3562bc0d',
  12: '86b772bd22c49402',
}

test('the shape of the wire belongs to this version of the protocol', () => {
  const lines = Object.entries(operations).map(
    ([name, { number, request, reply }]) => `${number} ${name} ${request.shape} ${reply.shape}`,
  )
  const shape = [...lines, errorReply.shape, contextCodec.shape].join('\n')
  const digest = createHash('sha256').update(shape).digest('hex').slice(0, 16)
  expect(digest).toBe(shapeOfVersion[PROTOCOL_VERSION])
})

test('the guide is about this version', () => {
  expect(guide).toContain(`This is version ${PROTOCOL_VERSION}.`)
})

test('no two operations share a number', () => {
  const numbers = Object.values(operations).map(({ number }) => number)
  expect(new Set(numbers).size).toBe(numbers.length)
})

test('what a server says without being asked has the number of no error', () => {
  const errors = Object.values(errorTable).map(({ wire }) => wire)
  for (const { number } of [ping, receipt]) expect(errors).not.toContain(number)
})

test('the guide has a row for every operation, with its number and the shape of its heads', () => {
  for (const [name, { number, request, reply }] of Object.entries(operations)) {
    expect(guide).toContain(`| ${number} | \`${name}\` | \`${request.shape}\` | \`${reply.shape}\` |`)
  }
})

test('the guide and the table of errors agree, both ways', () => {
  const rows = [...guide.matchAll(/^\| `([A-Z_]+)` \| (\d+) \| (\d+) \| (\w+) \| (yes|no) \|/gm)]
  const documented = Object.fromEntries(rows.map(([, code, ...cells]) => [code, cells.join(' ')]))
  const actual = Object.fromEntries(
    Object.entries(errorTable).map(([code, { wire, status, blame, retryable }]) => [
      code as ErrorCode,
      `${wire} ${status} ${blame} ${retryable ? 'yes' : 'no'}`,
    ]),
  )
  expect(documented).toEqual(actual)
})
