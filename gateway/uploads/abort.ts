import type { Exchange } from '../http/exchange.ts'
import { UploadStore } from './upload-store.ts'

/** Requests that put a part later see that the upload is aborted, and remove their part. */
export async function abortMultipartUpload(exchange: Exchange): Promise<void> {
  const uploads = new UploadStore(exchange)
  const id = exchange.parameter('uploadId') ?? ''
  for (;;) {
    const upload = await uploads.getOpen(id, exchange.key)
    if ((await uploads.change(upload, { is: 'aborted' })) !== null) break
  }
  await uploads.removeParts(id)
  exchange.send(204)
}
