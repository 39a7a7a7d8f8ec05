import { expect, test } from 'vitest'
import { errorTable } from '../../../protocol/errors.ts'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import { dataOperations } from '../../../protocol/operations/data-operations.ts'
import { open, Planes } from '../../fixture/planes.ts'
import { frameBytes, RawConnection } from '../../fixture/raw-connection.ts'

test('I13: a deleteMany with a key that cannot be deletes none of the others', async () => {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  const job = await open(ticket)
  await job.put('good', 'x')
  const connection = await RawConnection.open(node.address)
  connection.send(await connection.hello(parseTicket(ticket).token))
  const request = { epoch: 1, bucket: 0, lane: 0, sequence: 1 }
  const keys = [Buffer.from('good'), Buffer.from('a\0b')]
  connection.send(await frameBytes(2, dataOperations.deleteMany, { ...request, keys }))
  await expect.poll(() => connection.frames.at(1)?.kind).toBe(errorTable.BAD_REQUEST.wire)
  expect(await job.exists('good')).toBe(true)
})
