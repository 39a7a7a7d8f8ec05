import { expect, test } from 'vitest'
import { ask, startTestGateway } from './support/in-process.ts'

test('an error that is a bug of the cluster is InternalError, with the text of S3 and nothing of what it says', async () => {
  const gateway = await startTestGateway()
  const thrown = new Error("ENOENT: no such file or directory, open '/var/lib/mayfly/secret'")
  gateway.planes.storeFailure = { thrown }
  const answer = await ask(gateway, { method: 'PUT', path: '/new-bucket' })
  expect(answer).toMatchObject({ status: 500, code: 'InternalError' })
  expect(answer.body).toContain(
    '<Message>The server encountered an internal error. Please try again.</Message>',
  )
  expect(answer.body).not.toMatch(/ENOENT|no such file|var\/lib|fault|m-1/)
})
