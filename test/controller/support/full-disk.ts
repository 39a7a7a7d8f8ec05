import { MayflyError } from '../../../protocol/errors.ts'
import { Life } from './mortal.ts'

/** A life of a controller whose store refuses writes while its disk is full. */
export class FullDisk {
  readonly life = new Life(null)
  /** Names of the store's methods that fail. */
  readonly refused = new Set<string>()
  /** Called before a write is refused. */
  onRefused: () => Promise<void> = async () => undefined

  constructor() {
    const share = this.life.share.bind(this.life)
    this.life.share = <T extends object>(target: T, isWrite?: (method: string) => boolean): T => {
      const shared = share(target, isWrite)
      const get = (_: T, name: string | symbol): unknown => {
        if (!this.refused.has(String(name))) return Reflect.get(shared, name)
        return async () => {
          await this.onRefused()
          throw new MayflyError('UNAVAILABLE', 'The disk is full')
        }
      }
      return isWrite === undefined ? shared : new Proxy(shared, { get })
    }
  }
}
