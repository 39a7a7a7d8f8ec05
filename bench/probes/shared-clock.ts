/** The clock that all processes of the machine share, in ms since the Unix epoch. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now()
}
