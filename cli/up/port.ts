import { createServer } from 'node:net'
import type { HostPort } from '../../protocol/transport/address.ts'

/** Whether another process listens there. */
export async function isPortTaken({ host, port }: HostPort): Promise<boolean> {
  const server = createServer()
  return await new Promise((resolve) => {
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'EADDRINUSE'))
    server.listen({ host, port }, () => server.close(() => resolve(false)))
  })
}
