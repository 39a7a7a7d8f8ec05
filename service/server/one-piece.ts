/** Bytes that are all here, for who takes them piece by piece. */
export async function* onePiece(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}
