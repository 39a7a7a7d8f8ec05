/** A buffer as an async iterable of one piece. */
export async function* onePiece(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}
